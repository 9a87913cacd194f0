"""What the terminal says after a tracked run."""

from dataclasses import replace

from mlops_kit.views.summary import Summary, summary_text

RUN = Summary(
    run_id="6921b1aa-0123456789ab",
    run_name="train",
    status="finished",
    seconds=1.2449,
    data=("data → train.data:3, 569 rows",),
    metrics={"auc": 0.9931},
    champion="fraud:2",
    champion_metrics={"auc": 0.991, "f1": 0.5},
    model="fraud:3",
    next="mlops-kit promote fraud:3",
)


def test_a_finished_run_is_told_in_a_few_aligned_lines():
    assert summary_text(RUN).split("\n") == [
        "train finished in 1.24 s",
        "  run      6921b1aa-0123456789ab",
        "  data     data → train.data:3, 569 rows",
        "  metrics  auc 0.9931 (+0.0021 vs fraud:2)",
        "  model    fraud:3",
        "  next     mlops-kit promote fraud:3",
    ]


def test_a_metric_is_compared_only_where_the_champion_has_it():
    assert "recall 0.8\n" in summary_text(replace(RUN, metrics={"recall": 0.8}))
    assert "auc 0.9931\n" in summary_text(replace(RUN, champion=None))


def test_a_metric_that_fell_or_stayed_says_so():
    assert "auc 0.99 (-0.001 vs fraud:2)" in summary_text(replace(RUN, metrics={"auc": 0.99}))
    assert "auc 0.991 (same as fraud:2)" in summary_text(replace(RUN, metrics={"auc": 0.991}))


def test_a_metric_that_cannot_be_compared_stands_beside_that_of_the_champion():
    assert "auc nan (0.991 in fraud:2)" in summary_text(replace(RUN, metrics={"auc": float("nan")}))


def test_a_failed_run_tells_its_error():
    text = summary_text(replace(RUN, status="failed", error="ValueError: bad\nvalue", model=None))
    assert text.startswith("train failed in 1.24 s\n")
    assert "  error    ValueError: bad\\nvalue\n" in text


def test_a_problem_is_told_and_further_ones_are_counted():
    text = summary_text(replace(RUN, problems=("one", "two", "three")))
    assert "  problems  one, … and 2 more\n" in text


def test_the_summary_stays_short_whatever_was_logged():
    text = summary_text(
        replace(
            RUN,
            data=tuple(f"input_{i} → data:{i}, 1 row" for i in range(50)),
            metrics={f"metric_number_{i}": i / 7 for i in range(50)},
            problems=("a problem",) * 50,
        )
    )
    assert len(text.split("\n")) <= 11
    assert "… and 44 more" in text


def test_a_run_of_nothing_is_one_line_and_its_id():
    assert summary_text(Summary("6921b1aa-0123456789ab", "train", "finished")) == (
        "train finished\n  run  6921b1aa-0123456789ab"
    )

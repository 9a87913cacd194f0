"""Runs shown."""

import re
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from mlops_kit.records.run import ArtifactRef, InputRef, OutputRef
from mlops_kit.views.run import RunFacts, commit_text, input_text, run_html, run_text

FP = "fp1:" + "1a2b3c4d" * 8
FACTS = RunFacts(
    id="6921b1aa-0123456789ab",
    name="train",
    experiment="night shift",
    status="finished",
    started=datetime(2026, 11, 22, 10, tzinfo=UTC),
    seconds=1.2449,
    by={"actor": "ann", "source": "git"},
    params={"max_depth": 8, "kernel": "rbf", "rate": 0.1, "seed": None},
    metrics={"auc": 0.993127834, "loss": float("nan")},
    inputs=(InputRef("data", "table", FP, 569, "train.data", 3), InputRef("X", "array", FP, 100)),
    outputs=(
        OutputRef("return", "model", "cloudpickle", "sha256:00", FP, 1_234_567, "sklearn.tree.DecisionTree"),
        OutputRef("score", "value", "json", value=0.5),
        OutputRef("handle", "none", "none", type="io.TextIOWrapper"),
    ),
    artifacts=(ArtifactRef("roc.png", "sha256:11", 20_000),),
    models=("fraud:3",),
    git={"commit": "1a2b3c4d5e6f7a8b", "branch": "main", "dirty": True},
    code=FP,
    error=None,
    problems=("The data 'big' was not kept.",),
)
EMPTY = RunFacts("id", "n", "e", "running", FACTS.started, None, {}, {}, {}, (), (), (), (), None, None, None, ())

CONTENT = [
    "6921b1aa-0123456789ab",
    "night shift",
    "2026-11-22 10:00:00 UTC by ann",
    "max_depth=8, kernel='rbf', rate=0.1, seed=None",
    "auc=0.99313, loss=nan",
    "data → train.data:3, 569 rows, fp1:1a2b3c4d…",
    "X, 100 rows, fingerprint only: fp1:1a2b3c4d…",
    "return: model DecisionTree, 1.2 MB",
    "score: 0.5",
    "handle: value TextIOWrapper, not kept",
    "roc.png (20 kB)",
    "fraud:3",
    "commit 1a2b3c4d5e on main, with uncommitted changes",
    "The data 'big' was not kept.",
]


@pytest.mark.parametrize("content", CONTENT)
def test_a_run_tells_all_that_was_recorded(read_html, content):
    assert content in run_text(FACTS)
    words = re.split("[=, ]+", content)
    shown = read_html(run_html(FACTS))
    assert all(word in shown for word in words)


def test_the_first_line_says_which_run_and_how_it_ended():
    assert run_text(FACTS).split("\n")[0] == "Run 6921b1aa-0123456789ab train: finished in 1.24 s"


def test_details_are_indented_and_aligned():
    lines = run_text(FACTS).split("\n")[1:]
    assert all(line.startswith("  ") and line[13] == " " and line[14] != " " for line in lines)


def test_a_failed_run_tells_its_exception_in_one_line():
    failed = replace(
        FACTS, status="failed", error={"type": "builtins.ValueError", "message": "bad\nvalue", "traceback": ""}
    )
    assert "  error       ValueError: bad\\nvalue\n" in run_text(failed)
    silent = replace(FACTS, error={"type": "AssertionError", "message": ""})
    assert "  error       AssertionError\n" in run_text(silent)


def test_a_running_run_with_nothing_recorded_is_short():
    assert run_text(EMPTY) == "Run id n: running\n  started     2026-11-22 10:00:00 UTC\n  experiment  e"


def test_nothing_of_what_is_absent_is_shown(read_html):
    shown = read_html(run_html(EMPTY))
    assert not any(word in shown for word in ("params", "metrics", "data", "error", "None"))


def test_data_without_a_fingerprint_says_so():
    assert input_text(InputRef("x", "table", "", None)) == "x, no fingerprint"
    assert input_text(FACTS.inputs[0], fingerprint=False) == "data → train.data:3, 569 rows"


def test_a_clean_commit_says_nothing_of_changes():
    assert commit_text({"commit": "1a2b3c4d5e6f7a8b", "dirty": False}) == "1a2b3c4d5e"
    assert commit_text({"branch": "main", "dirty": True}) == ""

"""What goes in: read from anywhere, held to expectations, and split so that rows stay where they are."""

import os

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

import mlops_kit as mk
from mlops_kit import steps
from mlops_kit.errors import InvalidInput

FRAME = pd.DataFrame({"id": [1, 2, 3], "price": [9.5, 0.0, 2.25]})
WRITERS = {
    "a.csv": lambda frame, path: frame.to_csv(path, index=False),
    "a.CSV.gz": lambda frame, path: frame.to_csv(path, index=False, compression="gzip"),
    "a.tsv": lambda frame, path: frame.to_csv(path, index=False, sep="\t"),
    "a.parquet": lambda frame, path: frame.to_parquet(path),
    "a.json": lambda frame, path: frame.to_json(path),
    "a.jsonl": lambda frame, path: frame.to_json(path, orient="records", lines=True),
    "a.feather": lambda frame, path: frame.to_feather(path),
}


@pytest.mark.parametrize("name", WRITERS)
def test_a_file_is_read_as_its_name_ends(tmp_path, name):
    WRITERS[name](FRAME, tmp_path / name)
    pd.testing.assert_frame_equal(steps.ingest(str(tmp_path / name)), FRAME)
    pd.testing.assert_frame_equal(steps.ingest(tmp_path / name), FRAME)


def test_a_format_and_options_of_pandas_may_be_named(tmp_path):
    FRAME.to_csv(tmp_path / "export", index=False, sep=";")
    read = steps.ingest(tmp_path / "export", format="csv", sep=";", usecols=["price"])
    pd.testing.assert_frame_equal(read, FRAME[["price"]])
    with pytest.raises(InvalidInput, match=r"none that can be read: csv"):
        steps.ingest(tmp_path / "export", format="excel")


@pytest.mark.parametrize("kind", ["folder", "pattern", "list"])
def test_several_files_follow_one_another(tmp_path, kind):
    folder = tmp_path / "days"
    folder.mkdir()
    FRAME[:1].to_csv(folder / "1.csv", index=False)
    FRAME[1:].to_parquet(folder / "2.parquet")
    (folder / "_SUCCESS").write_text("")
    (folder / "notes.md").write_text("for people")
    given = {"folder": folder, "pattern": f"{folder}/*", "list": [folder / "1.csv", str(folder / "2.parquet")]}[kind]
    pd.testing.assert_frame_equal(steps.ingest(given), FRAME)


def test_files_that_differ_in_their_columns_are_not_put_together(tmp_path):
    FRAME.to_csv(tmp_path / "1.csv", index=False)
    FRAME.rename(columns={"price": "cost"}).to_csv(tmp_path / "2.csv", index=False)
    with pytest.raises(InvalidInput, match=r"1\.csv and .*2\.csv do not both have cost, price"):
        steps.ingest(f"{tmp_path}/*.csv")


def test_a_folder_without_tables_names_what_is_in_it(tmp_path):
    (tmp_path / "notes.md").write_text("for people")
    with pytest.raises(InvalidInput, match=r"notes\.md. Name the format=, of csv"):
        steps.ingest(tmp_path)


@pytest.mark.parametrize("make", [pd.DataFrame, pl.DataFrame, pa.Table.from_pandas], ids=["pandas", "polars", "arrow"])
def test_a_table_is_taken_as_it_is(make):
    pd.testing.assert_frame_equal(steps.ingest(make(FRAME)), FRAME)


def test_a_dataset_is_taken(store):
    pd.testing.assert_frame_equal(steps.ingest(mk.Dataset.snapshot(FRAME, name="prices", store=store)), FRAME)


@pytest.mark.parametrize("data", [3, {"x": 1}, None, object(), np.zeros((2, 2)), ["a.csv", FRAME]])
def test_what_is_no_table_is_refused(data):
    with pytest.raises(InvalidInput, match=r"is no table|some are not"):
        steps.ingest(data)


def test_options_of_reading_are_for_files():
    with pytest.raises(InvalidInput, match="read already"):
        steps.ingest(FRAME, sep=";")


def test_what_is_not_as_expected_does_not_get_in(store):
    @mk.pipeline(store=store)
    def run(limit):
        return len(steps.ingest(FRAME, expectations=[mk.expectations.in_range("price", 0, limit)]))

    assert run(10) == 3
    with pytest.raises(InvalidInput, match=r"range of price: 1 of 3 values outside of 0 to 5") as refused:
        run(5)
    assert "in the step mlops_kit.steps.data:ingest" in "".join(refused.value.__notes__)
    assert run.last_run.status == "failed"


def test_it_runs_again_when_the_file_changes_and_what_follows_only_if_the_content_does(tmp_path, store):
    path = tmp_path / "prices.csv"

    def write(frame, at):
        frame.to_csv(path, index=False)
        os.utime(path, ns=(at, at))

    @mk.step
    def total(frame):
        return float(frame["price"].sum())

    @mk.pipeline(store=store)
    def run():
        return total(steps.ingest(path, storage_options={"auto_mkdir": False}))

    def reused():
        return [call.reused for call in run.last_run.steps]

    write(FRAME, 1_000_000_000)
    assert run() == 11.75
    assert (run(), reused()) == (11.75, [True, True])
    write(FRAME, 2_000_000_000)  # written again, with the same content
    assert (run(), reused()) == (11.75, [False, True])
    write(FRAME[:2], 2_000_000_000)
    assert (run(), reused()) == (9.5, [False, False])
    assert run.last_run.dataset("data").n_rows == 2


def test_the_input_is_shown_in_runs_that_reuse_it(store):
    @mk.pipeline(store=store)
    def run():
        steps.ingest(FRAME, name="prices")

    run()
    run()
    assert run.last_run.steps[0].reused
    assert run.last_run.dataset("prices").spec == "prices:1"


def test_outside_of_a_run_nothing_is_recorded(tmp_path, monkeypatch):
    monkeypatch.setenv("MLOPS_KIT_STORE", str(tmp_path / "none"))
    steps.ingest(FRAME)
    assert not (tmp_path / "none").exists()


def parts(frame, **options):
    train, test = steps.split(frame, "key", **options)
    return set(train["key"]), set(test["key"])


def test_rows_stay_where_they_are_as_data_grows():
    small, large = (pd.DataFrame({"key": range(n)}) for n in (1000, 5000))
    (train, test), (more_train, more_test) = parts(small), parts(large)
    assert train <= more_train
    assert test <= more_test
    assert 0.18 < len(more_test) / 5000 < 0.22


def test_the_split_is_the_same_on_every_machine_and_for_ever():
    _, test = parts(pd.DataFrame({"key": range(20)}), test=0.3)
    assert test == GOLDEN_NUMBERS
    _, test = parts(pd.DataFrame({"key": [f"customer {n}" for n in range(20)]}), test=0.3)
    assert test == {f"customer {n}" for n in GOLDEN_TEXTS}


@given(st.lists(st.integers(-(2**40), 2**40), min_size=30, max_size=60, unique=True))
def test_the_dtype_of_a_key_makes_no_difference(values):
    plain = pd.Series(values)
    kinds = [
        plain,
        plain.astype("float64"),
        plain.astype("Int64"),
        plain.astype(object),
        plain.astype("int64[pyarrow]"),
    ]
    sides = []
    for column in kinds:
        train, test = steps.split(pd.DataFrame({"key": column}), "key", test=0.5)
        sides.append((list(train.index), list(test.index)))
    assert all(side == sides[0] for side in sides)


@pytest.mark.parametrize("kind", ["str", "category", "string[pyarrow]", "object"])
def test_texts_and_categories_are_one(kind):
    texts = pd.Series([f"customer {n}" for n in range(20)]).astype(kind)
    _, test = parts(pd.DataFrame({"key": texts}), test=0.3)
    assert test == {f"customer {n}" for n in GOLDEN_TEXTS}


def test_a_missing_key_that_comes_later_moves_nobody():
    whole = pd.DataFrame({"key": range(200)})
    later = pd.DataFrame({"key": [*range(200), None]})
    assert {int(key) for key in parts(later)[1] if key == key} == parts(whole)[1]  # noqa: PLR0124 - NaN is no integer


def test_rows_of_one_key_stay_together_and_in_their_order():
    frame = pd.DataFrame({"key": [n % 50 for n in range(500)], "other": range(500)}, index=range(1000, 1500))
    train, test = steps.split(frame, "key", test=0.4)
    assert not set(train["key"]) & set(test["key"])
    pd.testing.assert_frame_equal(pd.concat([train, test]).sort_index(), frame)


def test_a_key_of_several_columns_and_none_at_all():
    frame = pd.DataFrame({"a": [n % 7 for n in range(500)], "b": [n % 11 for n in range(500)], "c": range(500)})
    train, test = steps.split(frame, ["a", "b"])
    assert not {*zip(train["a"], train["b"], strict=True)} & {*zip(test["a"], test["b"], strict=True)}
    train, test = steps.split(pd.concat([frame, frame], ignore_index=True))
    assert not set(train["c"]) & set(test["c"])


def test_seeds_give_splits_that_have_nothing_to_do_with_each_other():
    frame = pd.DataFrame({"key": range(4000)})
    first, second = parts(frame, test=0.5)[1], parts(frame, test=0.5, seed=1)[1]
    assert 0.46 < len(first & second) / len(first) < 0.54


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"key": "who"}, r"no columns 'who'. Columns: x, y"),
        ({"key": "x", "test": 0}, "no share between 0 and 1"),
        ({"key": "x", "test": 1e-9}, "left to test on"),
        ({"key": "x", "test": 1 - 1e-9}, "left to train on"),
        ({"key": "y"}, "is no key"),
    ],
)
def test_a_split_that_cannot_be_made_is_refused(options, said):
    with pytest.raises(InvalidInput, match=said):
        steps.split(pd.DataFrame({"x": range(50), "y": [[n] for n in range(50)]}), **options)


GOLDEN_NUMBERS = {4, 7, 14, 19}
GOLDEN_TEXTS = {0, 8, 9, 11}

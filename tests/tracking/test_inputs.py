"""Data that goes in is fingerprinted, kept if small enough, and linked to the version it came from."""

from __future__ import annotations

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from scipy import sparse
from sklearn.linear_model import LogisticRegression

import mlops_kit as mk
from mlops_kit.errors import InvalidInput, OutputNotFound, RecordingWarning
from mlops_kit.records.profile import TableProfile
from mlops_kit.tracking.inputs import dataset_name, snapshot_limit

FRAME = pd.DataFrame({"x": [1.5, 2.5, 3.5], "kind": pd.Categorical(["a", "b", "a"])})


@mk.track
def train(data, **more):
    return None


def passed(*args, **kwargs):
    """Track a call and read back what was recorded, from the store alone."""
    train(*args, **kwargs)
    return mk.get_run(train.last_run.id)


@pytest.mark.parametrize("data", [FRAME, pl.DataFrame({"x": [1]}), pa.table({"x": [1]}), pa.record_batch({"x": [1]})])
def test_a_table_is_kept_as_a_version(data):
    run = passed(data)
    ref = run.inputs["data"]
    assert (ref.kind, ref.spec, ref.rows) == ("table", "train.data:1", len(data))
    assert ref.fingerprint == mk.fingerprint(data) == run.dataset("data").fingerprint
    assert run.problems == ()


def test_a_frame_comes_back_as_it_was():
    pd.testing.assert_frame_equal(passed(FRAME).dataset("data").to_pandas(), FRAME)


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (np.arange(6.0), "array"),
        (np.arange(6.0).reshape(3, 2), "array"),
        (np.zeros((2, 3, 4)), "array"),
        (pd.Series([1, 2]), "column"),
        (pl.Series([1, 2]), "column"),
        (sparse.csr_matrix(np.eye(3)), "sparse"),
        (sparse.coo_array(np.eye(3)), "sparse"),
    ],
)
def test_arrays_columns_and_sparse_matrices_have_their_own_fingerprint(data, kind):
    ref = passed(data).inputs["data"]
    assert (ref.kind, ref.rows) == (kind, data.shape[0])
    assert ref.fingerprint == mk.fingerprint(data)


def test_the_same_data_is_one_version_and_changed_data_another():
    changed = FRAME.assign(x=[1.5, 2.5, 9.0])
    assert [passed(frame).inputs["data"].version for frame in (FRAME, FRAME.copy(), changed)] == [1, 1, 2]


def test_data_inside_of_containers_is_kept_by_its_place():
    run = passed({"train": FRAME, "n": 3}, pair=(FRAME, np.zeros(2)))
    assert list(run.inputs) == ["data.train", "pair.0", "pair.1"]
    assert run.params["data"]["n"] == 3


def test_a_frame_changed_by_the_function_is_recorded_as_it_went_in():
    frame = FRAME.copy()

    @mk.track
    def spoil(data, numbers, settings, model):
        data.loc[0, "x"] = -1.0
        numbers[0] = -1.0
        settings["depth"].append(9)
        model.set_params(C=9.0)

    spoil(frame, numbers := np.zeros(2), {"depth": [1]}, LogisticRegression(C=0.5))
    run = mk.get_run(spoil.last_run.id)
    assert (frame.loc[0, "x"], numbers[0]) == (-1.0, -1.0)
    assert run.dataset("data").to_pandas().loc[0, "x"] == 1.5
    assert run.inputs["numbers"].fingerprint == mk.fingerprint(np.zeros(2))
    assert run.params["settings"] == {"depth": [1]}
    assert run.params["model"]["params"]["C"] == 0.5
    assert run.params["model"]["fingerprint"] == mk.fingerprint(LogisticRegression(C=0.5))


def test_a_frame_read_from_a_version_is_linked_to_it_unless_changed():
    frame = mk.Dataset.snapshot(FRAME, name="customers").to_pandas()
    assert passed(frame).inputs["data"].spec == "customers:1"
    assert mk.Dataset.names() == ["customers"]
    frame.loc[0, "x"] = 0.0
    assert passed(frame).inputs["data"].spec == "train.data:1"


GIVEN = {
    "pandas": pd.DataFrame({"a": [1, 2], "t": ["x", None]}, index=[7, 3]),
    "arrow": pa.table({"a": [2**60 + 1, None], "l": [["x", None], None], "t": ["u", "v"]}),
    "polars": pl.DataFrame({"a": [1, None], "t": ["x", None], "s": [{"b": "y"}, None]}),
    "numbers": pa.table({"a": [1, 2], "b": [0.5, 1.5]}),
    "one type": pl.DataFrame({"a": [1, 2], "b": [3, 4]}),
    "matrix": np.arange(6.0).reshape(3, 2),
    "vector": np.array([0, 1, 1]),
    "series": pd.Series([1.5, None], name="y"),
}
FORMS = [
    (name, form)
    for name in GIVEN
    for form in ("to_pandas", "to_arrow", "to_polars", "to_numpy", "to_native")
    if form != "to_numpy" or name not in {"arrow", "polars"}
]


@pytest.mark.parametrize("snapshot", ["auto", False])
@pytest.mark.parametrize(("name", "form"), FORMS)
def test_what_was_read_from_a_version_in_any_form_is_linked_to_it(name, form, snapshot):
    version = mk.Dataset.snapshot(GIVEN[name], name="given")

    @mk.track(snapshot=snapshot)
    def train(data):
        return None

    train(getattr(mk.Dataset.load("given:1"), form)())
    ref = train.last_run.inputs["data"]
    objects = (name, form) == ("pandas", "to_numpy")  # which are compared with a version only where they are kept
    assert ref.spec == (None if objects and snapshot is False else version.spec)
    assert mk.Dataset.names() == ["given"]


@pytest.mark.parametrize("form", ["to_pandas", "to_numpy"])
def test_what_was_read_in_another_form_and_changed_is_not_linked(form):
    mk.Dataset.snapshot(GIVEN["numbers"], name="given")
    data = getattr(mk.Dataset.load("given:1"), form)()
    (data.iloc if form == "to_pandas" else data)[0, 1] = 9.0
    assert passed(data).inputs["data"].spec == "train.data:1"


def test_a_run_gives_its_inputs_as_what_they_were():
    frame = pl.DataFrame({"x": [["a", None], None]})

    @mk.track
    def train(X, y, frame):
        return frame

    train(np.arange(6, dtype="f4").reshape(3, 2), np.array([True, False]), frame)
    run = mk.get_run(train.last_run.id)
    for name, dtype, shape in (("X", "float32", (3, 2)), ("y", "bool", (2,))):
        array = run.dataset(name).to_native()
        assert (array.dtype, array.shape) == (dtype, shape)
        assert np.array_equal(array, run.dataset(name).to_numpy())
    assert run.dataset("frame").to_native().equals(frame)
    assert run.load().equals(frame)


def test_a_dataset_is_linked():
    run = passed(mk.Dataset.snapshot(FRAME, name="customers"))
    assert (run.inputs["data"].kind, run.inputs["data"].spec) == ("dataset", "customers:1")
    assert run.dataset("data").name == "customers"


def test_what_is_of_another_store_is_not_linked_to_a_version_of_that_name_here():
    elsewhere = mk.Dataset.snapshot(FRAME, name="customers", store="memory://elsewhere")
    mk.Dataset.snapshot(pd.DataFrame({"other": [1]}), name="customers")
    with pytest.warns(RecordingWarning, match="memory://elsewhere"):
        run = passed(elsewhere)
    assert (run.inputs["data"].fingerprint, run.inputs["data"].spec) == (elsewhere.fingerprint, None)
    assert passed(elsewhere.to_pandas()).inputs["data"].spec == "train.data:1"


@pytest.mark.parametrize(("snapshot", "kept"), [(10, False), (10**6, True), (True, True), (False, False), (0, False)])
def test_the_limit_decides_what_is_kept_never_what_is_fingerprinted(snapshot, kept):
    @mk.track(snapshot=snapshot)
    def fit(data):
        return None

    fit(pd.DataFrame({"x": range(1000)}))
    run = mk.get_run(fit.last_run.id)
    assert run.inputs["data"].fingerprint.startswith("fp1:")
    assert (run.inputs["data"].spec is not None) == kept
    if not kept:
        with pytest.raises(OutputNotFound, match="snapshot=True"):
            run.dataset("data")


def test_a_table_that_is_not_kept_is_described_instead():
    @mk.track(snapshot=10)
    def train(data):
        return None

    train(FRAME)
    (ref,) = train.last_run.inputs.values()
    profile = TableProfile.decode(train.last_run.store.objects.get(ref.profile, what="profile"), where="a test")
    assert ref.dataset is None
    assert profile.rows == len(FRAME)
    assert [column.name for column in profile.columns] == list(FRAME.columns)


@pytest.mark.parametrize("wrong", ["yes", -1, 1.5, None])
def test_a_limit_that_is_none_is_refused(wrong):
    with pytest.raises(InvalidInput, match="snapshot="):
        snapshot_limit(wrong)


@pytest.mark.parametrize(
    "data",
    [
        pd.DataFrame([[1, 2]], columns=["a", "a"]),
        pd.DataFrame({"a": pd.Series([1, "x", None, object()], dtype=object)}),
        np.array([object()]),
    ],
    ids=["duplicate names", "mixed objects", "objects"],
)
def test_data_that_cannot_be_kept_is_noted_and_the_rest_recorded(data):
    with pytest.warns(RecordingWarning, match="'data'"):
        run = passed(data, depth=3)
    assert run.problems
    assert (run.status, run.params["depth"], run.inputs["data"].spec) == ("finished", 3, None)


@pytest.mark.parametrize(
    ("odd", "rows"),
    [
        (lambda torch: torch.eye(3).to_sparse(), 3),
        (lambda torch: torch.eye(3).to_sparse_csr(), 3),
        (lambda torch: torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.qint8), 3),
        (lambda torch: torch.empty(3, device="meta"), 3),
        (lambda torch: torch.nested.nested_tensor([torch.ones(2)] * 3), None),
    ],
    ids=["sparse", "compressed", "quantized", "without values", "nested"],
)
@pytest.mark.filterwarnings("ignore::UserWarning")  # of torch, about its sparse and nested tensors
def test_a_tensor_that_has_no_fingerprint_is_an_input_with_one_problem(odd, rows):
    torch = pytest.importorskip("torch")
    with pytest.warns(RecordingWarning, match="'data' has no fingerprint"):
        run = passed(odd(torch), depth=3)
    assert (run.inputs["data"].kind, run.inputs["data"].rows, run.params["depth"]) == ("array", rows, 3)
    assert len(run.problems) == 1


def test_a_generator_is_no_data_for_a_snapshot():
    numbers = iter([1, 2, 3])
    with pytest.raises(InvalidInput):
        mk.Dataset.snapshot(numbers, name="numbers")
    assert list(numbers) == [1, 2, 3]


@pytest.mark.parametrize("name", ["make.<locals>.fit", "Trainer.fit", "<lambda>", "x" * 300, "żółw", ".."])
def test_every_function_and_parameter_name_a_dataset(name):
    found = dataset_name(name, "data")
    assert mk.Dataset.snapshot(pd.DataFrame({"x": [1]}), name=found, store="memory://names").name == found


def test_data_logged_by_hand_is_an_input():
    with mk.start_run() as run:
        mk.log_dataset(FRAME, "holdout")
        mk.log_dataset(FRAME.head(1), "holdout")
        with pytest.warns(RecordingWarning, match="list"):
            mk.log_dataset([1, 2], "list")
    assert mk.get_run(run.id).dataset("holdout").n_rows == 1


COLUMNS = {"age": np.array([31, 47, 52]), "income": np.array([1.5, 2.5, 3.5]), "plan": ["a", "b", "a"]}


@pytest.mark.parametrize("snapshot", ["auto", False])
@pytest.mark.parametrize("passed", ["itself", "a copy", "inside a list", "as it was kept"])
def test_a_dict_of_arrays_that_was_read_from_a_version_is_linked_to_it(passed, snapshot):
    given = dict(COLUMNS)
    mk.Dataset.snapshot(given, name="people")
    loaded = mk.Dataset.load("people:1").to_native()
    data = {"itself": loaded, "a copy": dict(loaded), "inside a list": [1, loaded], "as it was kept": given}[passed]
    tracked = mk.track(lambda data: None, snapshot=snapshot)
    tracked(data)
    run = mk.get_run(tracked.last_run.id)
    assert [ref.spec for ref in run.inputs.values()] == ["people:1"]
    assert (next(iter(run.inputs.values())).kind, run.problems, mk.Dataset.names()) == ("table", (), ["people"])


def test_a_dict_that_was_changed_or_is_a_part_is_not_the_version_it_was_read_from():
    mk.Dataset.snapshot(COLUMNS, name="people")
    loaded = mk.Dataset.load("people:1").to_native()
    loaded["age"][0] = 99
    tracked = mk.track(lambda data: None, name="use")
    tracked(loaded)
    assert [ref.spec for ref in tracked.last_run.inputs.values()] != ["people:1"]
    again = mk.Dataset.load("people:1").to_native()
    for other in ({"age": again["age"]}, {**again, "more": np.zeros(3)}, {**again, "plan": ["b", "b", "b"]}):
        tracked(other)
        assert all(ref.dataset != "people" for ref in tracked.last_run.inputs.values())


def test_a_dict_that_is_gone_leaves_nothing_behind():
    import gc

    from mlops_kit.datasets import dataset

    mk.Dataset.snapshot(COLUMNS, name="people")
    before = len(dataset._columns)
    loaded = mk.Dataset.load("people:1").to_native()
    assert len(dataset._columns) == before + 2
    del loaded
    gc.collect()
    assert len(dataset._columns) == before

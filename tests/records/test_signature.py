"""Which columns suit a model, told without looking at data."""

import pytest

from mlops_kit.records.signature import ColumnSpec, SignatureRecord, column_problems, holds, output_problems

AGE, PLAN = ColumnSpec("age", "int64"), ColumnSpec("plan", "utf8", categories=("a", "b"))


def kinds(wanted, given, **options):
    return [problem.kind for problem in column_problems(wanted, given, **options)]


def test_the_same_columns_suit():
    assert kinds([AGE, PLAN], [AGE, PLAN]) == []


def test_a_missing_column_is_named_with_those_there_are():
    (problem,) = column_problems([AGE, PLAN], [AGE])
    assert (problem.kind, problem.column) == ("missing", "plan")
    assert "There are: 'age'." in problem.message


def test_a_renamed_column_is_missing_and_the_new_name_is_shown():
    missing, extra = column_problems([AGE], [ColumnSpec("Age", "int64")])
    assert (missing.kind, extra.kind) == ("missing", "extra")
    assert "not expected: 'Age'" in missing.message


def test_another_order_is_told_once_and_not_when_columns_are_only_missing_or_extra():
    assert kinds([AGE, PLAN], [PLAN, AGE]) == ["reordered"]
    assert kinds([AGE, PLAN], [ColumnSpec("x"), AGE, PLAN]) == ["extra"]
    assert kinds([ColumnSpec("x"), AGE, PLAN], [AGE, PLAN]) == ["missing"]


@pytest.mark.parametrize(
    ("wanted", "given"),
    [
        *(("int64", "int8"), ("int64", "uint32"), ("uint64", "uint8"), ("float64", "int32"), ("float64", "uint32")),
        *(("float32", "int16"), ("float64", "float32"), ("int64", "bool"), ("float32", "bool"), ("utf8", "null")),
        *(("timestamp[UTC]", "timestamp[UTC]"), (None, "utf8"), ("utf8", None)),
    ],
)
def test_a_type_that_holds_every_value_suits(wanted, given):
    assert holds(wanted, given)


@pytest.mark.parametrize(
    ("wanted", "given"),
    [
        *(("int32", "int64"), ("uint64", "int8"), ("int64", "uint64"), ("float64", "int64"), ("float32", "int32")),
        *(("float32", "float64"), ("int64", "float64"), ("bool", "int8"), ("utf8", "int64"), ("int64", "utf8")),
        *(("timestamp[UTC]", "timestamp[]"), ("date32", "timestamp[]"), ("float16", "int16")),
    ],
)
def test_a_type_that_may_lose_values_does_not(wanted, given):
    assert not holds(wanted, given)
    assert kinds([ColumnSpec("x", wanted)], [ColumnSpec("x", given)]) == ["type"]


def test_values_that_survive_a_narrow_type_suit_it():
    asked = []
    survives = lambda *question: asked.append(question) or True
    assert kinds([AGE], [ColumnSpec("age", "float64")], survives=survives) == []
    assert asked == [("age", "int64")]


def test_missing_values_are_a_problem_only_where_there_were_none():
    assert kinds([AGE], [ColumnSpec("age", "int64", nullable=True)]) == ["null"]
    assert kinds([ColumnSpec("age", "int64", nullable=True)], [ColumnSpec("age", "int64", nullable=True)]) == []


def test_unseen_levels_are_named():
    (problem,) = column_problems([PLAN], [ColumnSpec("plan", "utf8", categories=("b", "gold"))])
    assert problem.kind == "category"
    assert "'gold'. Seen: 'a', 'b'." in problem.message
    assert not problem.structural
    assert kinds([PLAN], [ColumnSpec("plan", "utf8")]) == ["category"]
    assert kinds([ColumnSpec("plan", "utf8")], [PLAN]) == []


@pytest.mark.parametrize(
    ("wanted", "given", "expected"),
    [
        ((None, 2), (None, 2), []),
        ((None, 2), (None, 3), ["shape"]),
        ((None, 2), (None, 2, 1), ["shape"]),
        ((None, 8, 8), (None, 8, 8), []),
        ((None, None), (None, 7), []),
    ],
)
def test_arrays_are_held_to_their_shape(wanted, given, expected):
    one, other = ColumnSpec("", "float64", shape=wanted), ColumnSpec("", "float64", shape=given)
    assert kinds([one], [other]) == expected


def test_an_array_where_names_are_wanted_cannot_be_checked_and_a_table_where_an_array_is_can():
    array = ColumnSpec("", "int64", shape=(None, 2))
    assert kinds([AGE, ColumnSpec("x", "int64")], [array]) == ["names"]
    assert kinds([array], [AGE, ColumnSpec("x", "int64")]) == []
    assert kinds([array], [AGE, ColumnSpec("x", "utf8")]) == ["type"]
    assert kinds([array], [AGE]) == ["shape"]


def prediction(kind, *classes, probability=False):
    outputs = (ColumnSpec("prediction", categories=classes or None),)
    return SignatureRecord((AGE,), outputs + probability * (ColumnSpec("probability"),), kind=kind)


def test_outputs_suit_whoever_reads_them_or_are_told():
    assert output_problems(prediction("binary", 0, 1), prediction("binary", 1, 0, probability=True)) == ()
    (classes,) = output_problems(prediction("binary", 0, 1), prediction("binary", "no", "yes"))
    assert "'no', 'yes', and 0, 1 are expected" in classes.message
    (kind,) = output_problems(prediction("binary", 0, 1), prediction("regression"))
    assert kind.kind == "output"
    (gone,) = output_problems(prediction("binary", 0, 1, probability=True), prediction("binary", 0, 1))
    assert "no output 'probability'" in gone.message


def test_a_signature_comes_back_from_its_record_and_passes_over_what_a_newer_release_added():
    record = SignatureRecord((AGE, PLAN, ColumnSpec("", None, shape=(None, 3))), (AGE,), "y", "binary", "X", "y")
    members = record.members()
    assert SignatureRecord.decode(members) == record
    members["inputs"][0]["unit"] = members["certified"] = "new"
    assert SignatureRecord.decode(members) == record

"""Names: what may be one, and the folder that keeps it."""

import re
import unicodedata

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from mlops_kit.errors import InvalidName, InvalidSpec
from mlops_kit.records.names import Spec, check_name, folder, parse_spec

NAMES = st.text(st.characters(categories=["L", "Nd"]) | st.sampled_from("_-."), min_size=1, max_size=60)


def accepted(name):
    try:
        return check_name(name, what="model")
    except InvalidName:
        return None


@pytest.mark.parametrize("name", ["fraud", "Fraud-v2.1", "_x", "0", "żółć", "模型", "a" * 120, "conx", "model.v3"])
def test_ordinary_names_are_taken_as_they_are(name):
    assert check_name(name, what="model") == name


@pytest.mark.parametrize(
    "name",
    [
        *[
            "",
            " ",
            "a b",
            "../etc",
            "a/b",
            "a\\b",
            "..",
            ".",
            ".hidden",
            "-x",
            "a.",
            "a:3",
            "a@b",
            "a\n",
            "a\0",
            "a\tb",
        ],
        *["con", "NUL"],
        *["com1.txt", "LPT9", "aux.", "com¹", "a" * 121, "ż" * 61, "\ud800", "a\u202eb", "a\u200bb"],
        *["a*", "a?", "a|b", "<a>", "~x", "%41", "😀", "\u0301a", "½"],
        *[None, 3, b"fraud", ["x"]],
    ],
)
def test_hostile_names_are_refused_with_the_reason_and_the_rule(name):
    with pytest.raises(InvalidName, match=r"cannot name a model: .+\. Names have letters"):
        check_name(name, what="model")


def test_an_object_in_place_of_its_spec_is_told_in_one_line_which_text_to_write():
    class Version:
        spec = "fraud:3"

        def __repr__(self):
            return "many\nlines"

    with pytest.raises(InvalidSpec, match=r"not a Version: write 'fraud:3', or pass its \.spec\.$"):
        parse_spec(Version(), what="model")


def test_an_object_that_names_nothing_is_not_repeated_whole():
    with pytest.raises(InvalidSpec, match=r"^An object of type list does not name a model: write 'name:3'"):
        parse_spec(list(range(1000)), what="model")
    with pytest.raises(InvalidSpec, match=r"^3 does not name a model"):
        parse_spec(3, what="model")


def test_a_very_long_name_is_not_repeated_whole():
    with pytest.raises(InvalidName) as caught:
        check_name("x" * 100_000, what="model")
    assert len(str(caught.value)) < 500


def test_two_ways_of_writing_a_letter_are_one_name():
    assert check_name("cafe\u0301", what="model") == check_name("café", what="model") == "café"


@given(NAMES)
def test_a_folder_is_safe_on_every_file_system(name):
    name = accepted(name)
    assume(name is not None)
    where = folder(name)
    assert re.fullmatch(r"(?!\.|.*\.$)[a-z0-9._%A-F-]{1,200}|~[0-9a-f]{64}", where)
    assert where.split(".")[0] not in {"con", "nul", "aux", "prn"}


@given(NAMES)
def test_names_that_differ_only_in_case_share_a_folder(name):
    name = accepted(name)
    assume(name is not None)
    for twin in (name.upper(), name.lower(), name.swapcase()):
        if twin.casefold() == name.casefold():
            assert folder(twin) == folder(name)


@given(NAMES, NAMES)
def test_other_names_have_other_folders(first, second):
    first, second = accepted(first), accepted(second)
    assume(first is not None and second is not None)
    fold = lambda name: unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())
    assert (folder(first) == folder(second)) == (fold(first) == fold(second))


def test_a_name_that_would_make_too_long_a_folder_is_kept_under_its_digest():
    import hashlib

    name = "ż" * 60
    assert folder(name) == "~" + hashlib.sha256(name.encode()).hexdigest()
    assert folder("Ż" * 60) == folder(name)


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("fraud:3", Spec("fraud", 3, None)),
        ("fraud@champion", Spec("fraud", None, "champion")),
        ("fraud", Spec("fraud", None, None)),
        ("fraud:007", Spec("fraud", 7, None)),
    ],
)
def test_a_spec_is_read(text, spec):
    assert parse_spec(text, what="model") == spec


@pytest.mark.parametrize("text", ["fraud:3", "fraud@champion"])
def test_a_spec_is_written_as_it_is_read(text):
    assert str(parse_spec(text, what="model")) == text


@pytest.mark.parametrize("text", ["fraud:", "fraud:0", "fraud:-1", "fraud:x", "fraud:1.5", "fraud:³", "a:b:3", None, 3])
def test_what_is_no_spec_is_refused_with_the_two_forms(text):
    with pytest.raises(InvalidSpec, match=r"'.*:3'"):
        parse_spec(text, what="model")


@pytest.mark.parametrize("text", ["@champion", "fraud@", "fraud@a/b", "../x:3", "fraud@latest@x"])
def test_a_spec_of_names_that_cannot_be_is_refused(text):
    with pytest.raises(InvalidName):
        parse_spec(text, what="model")

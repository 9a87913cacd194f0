"""Records as bytes and back: what is kept exactly, what is refused, and what a reader checks."""

import hashlib
import json
import math
import signal
import sys
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops_kit.errors import IntegrityError, NewerFormat
from mlops_kit.records import bounds, codec
from mlops_kit.records.bounds import parse
from mlops_kit.records.codec import Repr, canonical, plain, seal, seal_list, unplain, unseal

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "fp1.json").read_text(encoding="utf-8"))["records"]

TEXT = st.text(st.characters(), max_size=12)  # lone surrogates included
OFFSETS = st.integers(-1439, 1439).map(lambda minutes: timezone(timedelta(minutes=minutes)))
HASHABLE = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-(2**200), 2**200)
    | st.floats()
    | TEXT
    | st.binary(max_size=12)
    | st.datetimes(timezones=st.none() | OFFSETS),
    lambda inner: st.lists(inner, max_size=3).map(tuple) | st.frozensets(inner, max_size=3),
    max_leaves=6,
)
VALUES = st.recursive(
    HASHABLE | st.binary(max_size=12).map(bytearray),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.sets(HASHABLE, max_size=4)
        | st.dictionaries(HASHABLE | st.just("$"), inner, max_size=4)
        | st.dictionaries(TEXT, inner, max_size=4)
    ),
    max_leaves=12,
)


def same(left, right):
    """Tell whether two values are equal, of equal types all through, with NaN equal to itself."""
    if type(left) is not type(right):
        return False
    match left:
        case float():
            answer = left.hex() == right.hex()
        case list() | tuple():
            answer = len(left) == len(right) and all(map(same, left, right))
        case dict():
            answer = _matched(left.items(), right.items())
        case set() | frozenset():
            answer = _matched(left, right)
        case datetime():
            answer = left == right and left.utcoffset() == right.utcoffset()
        case _:
            answer = left == right
    return answer


def _matched(left, right):
    rest = list(right)
    if len(left) != len(rest):
        return False
    for item in left:
        found = next((place for place, other in enumerate(rest) if same(item, other)), None)
        if found is None:
            return False
        rest.pop(found)
    return True


class Expired(BaseException):
    """Not an exception that a recording would take for a failing ``__repr__``."""


@contextmanager
def time_limit(seconds):
    def expired(_signal, _frame):
        raise Expired(f"it takes longer than {seconds} s")

    before = signal.signal(signal.SIGALRM, expired)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@given(VALUES)
def test_a_value_comes_back_equal_and_of_the_same_types(value):
    assert same(unplain(json.loads(canonical(plain(value)))), value)


@given(VALUES)
def test_equal_values_are_written_alike_and_can_always_be_sealed(value):
    data = seal("demo", {"value": plain(value)})
    assert data == seal("demo", {"value": plain(unplain(plain(value)))})
    assert same(unplain(unseal(data, where="here")["value"]), value)


def test_an_integer_of_any_size_is_kept():
    for number in (2**53, 2**53 + 1, -(2**53) - 1, 10**4000, 10**5000, 10**8000, -(10**12345) + 7):
        assert unplain(json.loads(canonical(plain(number)))) == number


def test_integers_that_every_json_reader_keeps_are_plain_and_others_are_tagged():
    assert plain(2**53) == 2**53
    assert plain(2**53 + 1) == {"$": "int", "v": "9007199254740993"}


@pytest.mark.parametrize("text", ["nan", "inf", "-inf"])
def test_floats_that_json_cannot_say_are_tagged(text):
    assert plain(float(text)) == {"$": "float", "v": text}


def test_negative_zero_keeps_its_sign():
    assert math.copysign(1, unplain(json.loads(canonical(plain(-0.0))))) == -1


def test_a_bool_is_not_an_int_and_an_int_is_not_a_float():
    assert [type(value) for value in unplain(json.loads(canonical(plain([True, 1, 1.0]))))] == [bool, int, float]


def test_a_dict_with_the_tag_as_a_key_is_not_taken_for_a_tagged_value():
    value = {"$": "tuple", "v": [1]}
    assert plain(value) == {"$": "dict", "v": [["$", "tuple"], ["v", [1]]]}
    assert unplain(plain(value)) == value


def test_a_dict_keeps_keys_of_every_kind_apart():
    value = {1: "int", "1": "str", (1,): "tuple", None: "none", b"1": "bytes"}
    assert unplain(plain(value)) == value


def test_a_dict_with_other_keys_than_text_keeps_its_order():
    assert list(unplain(plain({3: 0, 1: 0, 2: 0}))) == [3, 1, 2]


def test_text_with_lone_surrogates_is_kept_as_a_value_and_as_a_key():
    value = {"\ud800": ["a\udfff", "ż"]}
    assert unplain(json.loads(canonical(plain(value)))) == value


def test_sets_are_written_in_one_order_whatever_the_hash_seed():
    assert plain({"b", "a", 1}) == {"$": "set", "v": ["a", "b", 1]}


def test_a_moment_keeps_its_offset_and_a_naive_one_stays_naive():
    aware = datetime(2026, 5, 1, 12, tzinfo=timezone(timedelta(hours=5, minutes=30)))
    assert unplain(plain(aware)).utcoffset() == timedelta(hours=5, minutes=30)
    assert unplain(plain(datetime(2026, 5, 1))).tzinfo is None  # noqa: DTZ001 - naive on purpose


def test_what_has_no_form_keeps_its_type_and_the_start_of_its_repr():
    class Thing:
        def __repr__(self):
            return "x" * 5000

    kept = unplain(plain([Thing()]))[0]
    assert isinstance(kept, Repr)
    assert kept.type_name.endswith("Thing")
    assert kept == "x" * 1000


def test_a_repr_that_raises_or_holds_surrogates_stops_nothing():
    class Hostile:
        def __repr__(self):
            raise RuntimeError("no")

    class Odd:
        def __repr__(self):
            return "\ud800"

    assert "whose repr raises RuntimeError" in unplain(plain(Hostile()))
    canonical(plain(Odd()))


def test_a_subclass_of_a_plain_type_is_not_passed_off_as_its_base():
    class Grade(int):
        pass

    kept = unplain(plain(Grade(3)))
    assert isinstance(kept, Repr)
    assert kept == "3"


def test_a_repr_is_written_again_as_the_repr_it_was():
    once = plain(object)
    assert plain(unplain(once)) == once


def test_a_repr_made_of_text_that_is_no_unicode_can_be_written_and_sorted():
    odd = Repr("pkg.\udc80", "\ud800")
    assert unplain(plain({odd, 1})) == {odd, 1}
    assert odd.type_name == "pkg.\\udc80"


def test_a_value_that_contains_itself_ends():
    value = []
    value.append(value)
    canonical(plain(value))


def test_a_value_that_contains_itself_twice_ends_in_reasonable_time():
    value = []
    value.extend([value, value])
    with time_limit(5):
        plain(value)


def test_a_value_nested_deeper_than_any_recursion_limit_ends():
    value = leaf = []
    for _ in range(100_000):
        leaf.append([])
        leaf = leaf[0]
    canonical(plain(value))


def test_a_tag_of_a_later_release_reads_as_text_rather_than_failing():
    kept = unplain({"$": "complex", "v": "1+2j"})
    assert isinstance(kept, Repr)
    assert kept.type_name == "$complex"


@pytest.mark.parametrize("name", VECTORS)
def test_the_vectors_of_the_format_unseal_and_seal_again_to_the_same_bytes(name):
    data = VECTORS[name].encode()
    members = unseal(data, where=name, kind="entry")
    rest = {key: value for key, value in members.items() if key not in {"format", "record"}}
    assert seal("entry", rest) == data


def test_the_sum_covers_all_the_bytes_before_it():
    data = seal("demo", {"x": 1})
    head, _, tail = data.rpartition(b',"sum":"')
    assert tail == hashlib.sha256(head).hexdigest().encode() + b'"}'
    assert json.loads(data) == {"format": 1, "record": "demo", "x": 1, "sum": tail[:-2].decode()}


@pytest.mark.parametrize("name", ["a", "columns", "f\n", "of", "z"])
@pytest.mark.parametrize("others", [{}, {"b": 1, "y": {"z": [2]}}])
@pytest.mark.parametrize("items", [[], [1], [{"b": 1, "a": "ż"}, [2.5, None], "x"]])
def test_a_list_that_is_sealed_item_by_item_is_sealed_as_a_whole(name, others, items):
    assert seal_list("demo", others, name, iter(items)) == seal("demo", {**others, name: items})


def test_any_one_bit_flipped_in_a_record_is_seen():
    data = seal("demo", {"name": "żółć", "value": plain((1, 2.5, None))})
    for place in range(len(data) * 8):
        damaged = bytearray(data)
        damaged[place // 8] ^= 1 << place % 8
        with pytest.raises(IntegrityError):
            unseal(bytes(damaged), where="here")


@pytest.mark.parametrize("length", [0, 1, 30, 73, 80, -1])
def test_a_torn_record_is_seen(length):
    with pytest.raises(IntegrityError, match="here"):
        unseal(seal("demo", {"x": "y" * 50})[:length], where="here")


def _resealed(body):
    """Seal bytes that no writer of ours would make."""
    head = body[:-1]
    return head + b',"sum":"' + hashlib.sha256(head).hexdigest().encode() + b'"}'


@pytest.mark.parametrize(
    "body",
    [
        b'{"format":1,"record":"demo","x":1,"x":2}',
        b'{"record":"demo","format":1}',
        b'{"format": 1,"record":"demo"}',
        b'{"format":1,"record":"demo","x":NaN}',
        b'{"format":1,"record":"demo","x":1.50}',
        b'{"format":1,"record":"demo","x":"\\u00e9"}',
        b'{"format":1,"record":"demo","x":"\xff"}',
        b"[1,2}",
        b'{"format":1,"record":"demo","x":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    ],
    ids=["twice", "unsorted", "spaced", "nan", "trailing-zero", "escaped", "not-utf8", "not-json", "deep"],
)
def test_a_record_that_is_summed_and_not_canonical_is_refused(body):
    with pytest.raises(IntegrityError):
        unseal(_resealed(body), where="here")


@pytest.mark.parametrize("number", [b"", b'"format":null,', b'"format":true,', b'"format":"1",'])
def test_a_record_without_a_format_number_is_refused(number):
    with pytest.raises(IntegrityError, match="format number"):
        unseal(_resealed(b"{" + number + b'"record":"demo"}'), where="here")


def test_a_record_of_a_newer_format_is_refused_by_name():
    with pytest.raises(NewerFormat, match=r"of format 2; this release reads up to 1.*pip install -U"):
        unseal(_resealed(b'{"format":2,"record":"demo"}'), where="here")


def test_a_newer_record_that_says_it_is_compatible_is_read():
    members = unseal(_resealed(b'{"compatible":1,"format":2,"record":"demo","x":1}'), where="here", kind="demo")
    assert members["x"] == 1


def test_a_record_of_another_kind_is_refused():
    with pytest.raises(IntegrityError, match="'head', where a 'entry' belongs"):
        unseal(seal("head", {}), where="here", kind="entry")


@given(st.datetimes(timezones=OFFSETS, min_value=datetime(2, 1, 1), max_value=datetime(9998, 1, 1)))  # noqa: DTZ001 - bounds are naive by rule
def test_times_are_utc_with_six_digits_and_read_back(moment):
    text = codec.timestamp(moment)
    assert len(text) == len("2026-11-22T10:00:00.000000Z")
    assert text.endswith("Z")
    assert codec.moment(text) == moment


@given(*[st.datetimes(timezones=st.just(UTC))] * 2)
def test_times_sort_as_text(first, second):
    assert (codec.timestamp(first) < codec.timestamp(second)) == (first < second)


def sealed(body):
    """Seal the text of an object's members as a record, whatever they say."""
    head = f'{{"format":1,"record":"demo",{body}'.encode()
    return head + b',"sum":"%s"}' % hashlib.sha256(head).hexdigest().encode()


@pytest.mark.parametrize(
    "body",
    [
        '"x":' + "[" * 900 + "]" * 900,
        '"x":' + '{"y":' * 200_000 + "1" + "}" * 200_000,
        '"x":["\\"[",' + "[" * 400 + "]" * 400 + "]",
    ],
    ids=["lists", "objects", "beside a text with brackets"],
)
def test_nesting_that_no_writer_makes_is_refused_before_it_is_parsed(body):
    with pytest.raises(IntegrityError, match="nested more than 330 levels deep"):
        unseal(sealed(body), where="here")


def test_brackets_in_texts_are_no_nesting():
    data = seal("demo", {"x": ["[" * 5000 + '"{' + "\\" * 3] * 400})
    assert unseal(data, where="here")["x"][0].startswith("[[[")


def test_the_deepest_value_that_is_written_is_read():
    value = 1
    for _ in range(120):
        value = {1: value}
    assert unseal(seal("demo", {"x": plain(value)}), where="here")["x"] == plain(value)
    unplain(plain(value))


@pytest.mark.parametrize("unlimited", [False, True])
def test_a_number_of_millions_of_digits_is_refused_at_once(unlimited):
    before = sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(0 if unlimited else before)
    try:
        with time_limit(5), pytest.raises(IntegrityError):
            unseal(sealed('"x":' + "9" * 3_000_000), where="here")
        with time_limit(5), pytest.raises(IntegrityError, match="at most 100,000 digits"):
            unplain({"$": "int", "v": "9" * 3_000_000})
    finally:
        sys.set_int_max_str_digits(before)


def test_an_integer_of_more_than_100_000_digits_keeps_only_its_length():
    kept = unplain(plain(1 << 10**6))
    assert isinstance(kept, Repr)
    assert kept == "an integer of 1,000,001 bits"


@pytest.mark.parametrize(
    "tag", ["float", "int", "str", "bytes", "bytearray", "tuple", "set", "frozenset", "datetime", "dict"]
)
@pytest.mark.parametrize("content", [None, 5, "no", {}, [[]], [["x", []]], [{}], "é", -1.5, True])
def test_a_tagged_value_is_what_its_tag_says_or_a_typed_error(tag, content):
    with suppress(IntegrityError):
        unplain([{"$": tag, "v": content}])


@pytest.mark.parametrize("odd", [{"$": []}, {"$": {}}, {"$": "set", "v": [[]]}, {"$": "repr", "type": 5}])
def test_a_tag_that_is_none_is_a_typed_error(odd):
    with pytest.raises(IntegrityError, match="A tagged value is not what its tag says"):
        unplain(odd)


def test_a_record_longer_than_any_is_not_parsed(monkeypatch):
    monkeypatch.setattr(bounds, "MAX_BYTES", 1000)
    with pytest.raises(IntegrityError, match="none has more than 1,000"):
        unseal(seal("demo", {"x": "a" * 1000}), where="here")


def test_json_in_another_encoding_than_utf_8_is_refused():
    with pytest.raises(IntegrityError, match="not JSON"):
        parse('{"x":1}'.encode("utf-16"), where="here")


@pytest.mark.parametrize(
    "values",
    [[], [1, 2], [1, True], [1.0, 2], [1.5, math.inf], [-math.inf, math.nan], [2**53, 2**53 + 1], [-(2**53) - 1],
     ["a", 1], [None], [[1], [2.5]], [b"a"], list(range(1000))],
)  # fmt: skip
def test_lists_of_one_kind_are_plain_as_each_of_their_items_is(values):
    assert codec.plain(values) == [codec.plain(value) for value in values]
    back = codec.unplain(json.loads(json.dumps(codec.plain(values))))
    assert [(type(value), repr(value)) for value in back] == [(type(value), repr(value)) for value in values]


def test_a_record_takes_what_its_maker_makes_plain():
    made = codec.seal("demo", {"x": {3}, "y": [1.5]}, default=sorted)
    assert made == codec.seal("demo", {"x": [3], "y": [1.5]})
    with pytest.raises(TypeError):
        codec.seal("demo", {"x": {3}})

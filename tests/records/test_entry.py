"""Journal entries: what is written is what is read, and the chain is over the very bytes."""

import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops_kit.errors import IntegrityError
from mlops_kit.records.entry import FIRST_PREV, Entry, tip

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "fp1.json").read_text(encoding="utf-8"))["records"]

ENTRIES = st.builds(
    Entry,
    seq=st.integers(1, 10**12 - 1),
    prev=st.binary(min_size=32, max_size=32).map(bytes.hex),
    at=st.datetimes(datetime(1970, 1, 1), datetime(2261, 12, 31), timezones=st.just(UTC)),  # noqa: DTZ001 - naive by rule
    by=st.fixed_dictionaries({"actor": st.text(st.characters(codec="utf-8")), "source": st.just("git")}),
    nonce=st.binary(min_size=16, max_size=16).map(bytes.hex),
    kind=st.sampled_from(["anchor", "deliver", "a kind of a later release"]),
    body=st.dictionaries(st.text(), st.integers() | st.text() | st.lists(st.floats(allow_nan=False)), max_size=4),
)


@given(ENTRIES)
def test_an_entry_reads_back_equal(entry):
    assert Entry.decode(entry.encode(), where="here") == entry


@pytest.mark.parametrize("name", VECTORS)
def test_the_vectors_of_the_format_decode_and_encode_to_the_same_bytes(name):
    data = VECTORS[name].encode()
    assert Entry.decode(data, where=name).encode() == data


def test_the_vectors_are_a_chain():
    first, second = (VECTORS[name].encode() for name in ("entry 1", "entry 2"))
    assert Entry.decode(first, where="1").prev == FIRST_PREV
    assert Entry.decode(second, where="2").prev == tip(first) == hashlib.sha256(first).hexdigest()


def test_a_record_of_another_kind_is_no_entry():
    data = VECTORS["entry 1"].encode()
    body = data[: -len(b',"sum":""}') - 64].replace(b'"record":"entry"', b'"record":"head"')
    with pytest.raises(IntegrityError, match="where a 'entry' belongs"):
        Entry.decode(body + b',"sum":"%s"}' % hashlib.sha256(body).hexdigest().encode(), where="here")

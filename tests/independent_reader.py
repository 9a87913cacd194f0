"""A second reader of the format, written from docs/format.md alone; it shares no code with the library.

It needs the standard library, and pyarrow to read the Arrow streams of the test vectors.
"""

from __future__ import annotations

import hashlib
import json
import math
import struct
import unicodedata
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any
from uuid import UUID

BLOCK = 65_536
AS_IS = b"abcdefghijklmnopqrstuvwxyz0123456789._-"
NAN_BITS = {2: b"\x00\x7e", 4: b"\x00\x00\xc0\x7f", 8: b"\x00\x00\x00\x00\x00\x00\xf8\x7f"}


class Damaged(Exception):
    """The bytes are not what the format says."""


def canonical(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


# Records and journals


def read_record(data: bytes) -> dict[str, Any]:
    """Verify a record, first its sum, then that it is canonical."""
    head, comma, tail = data.rpartition(b',"sum":"')
    if not comma or tail != hashlib.sha256(head).hexdigest().encode() + b'"}':
        raise Damaged("sum")
    body = head + b"}"
    record = json.loads(body)
    if canonical(record) != body:
        raise Damaged("not canonical")
    if record["format"] > 1 and record.get("compatible") != 1:
        raise Damaged("newer")
    return record


def folder(name: str) -> str:
    text = unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold()).encode()
    encoded = "".join(chr(byte) if byte in AS_IS else f"%{byte:02X}" for byte in text)
    return encoded if len(encoded) <= 200 else "~" + hashlib.sha256(text).hexdigest()


def read_chain(entries: list[bytes]) -> list[dict[str, Any]]:
    """Verify a journal: numbers without a gap, each entry naming the one before, time never running back."""
    prev, at, records = "0" * 64, "", []
    for seq, data in enumerate(entries, 1):
        record = read_record(data)
        if (record["record"], record["seq"], record["prev"]) != ("entry", seq, prev) or record["at"] < at:
            raise Damaged(f"entry {seq}")
        prev, at = hashlib.sha256(data).hexdigest(), record["at"]
        records.append(record)
    return records


def is_signed(data: bytes, place: str, key: str) -> bool:
    """Verify the signature of an entry that stands in a journal, such as models/fraud."""
    record = read_record(data)
    signature = record.pop("signature", None)
    said = b"mlops-kit entry 1\n" + place.encode() + b"\n" + canonical(record)
    return signature is not None and signature["key"] == key and ed25519(key, signature["value"], said)


def journal(store: Path, kind: str, name: str) -> list[dict[str, Any]]:
    place = store / "journals" / kind / folder(name)
    return read_chain([path.read_bytes() for path in sorted(place.glob("[0-9]" * 12 + ".json"))])


def alias(records: list[dict[str, Any]], wanted: str) -> int | None:
    """Tell where an alias points: each promotion stands until it is rolled back."""
    if wanted == "latest":
        made = [r["body"]["version"] for r in records if r["kind"] in {"register", "snapshot"}]
        gone = {r["body"]["version"] for r in records if r["kind"] in {"archive", "delete"}}
        return max((version for version in made if version not in gone), default=None)
    standing: list[int] = []
    retired: list[int] = []
    for record in records:
        body = record["body"]
        if body.get("alias") != wanted:
            continue
        if record["kind"] == "retire":
            retired, standing = standing, []
        elif record["kind"] == "promote":
            retired = []
            standing += [] if standing[-1:] == [body["version"]] else [body["version"]]
        elif record["kind"] == "rollback":
            if retired:
                standing, retired = retired, []
            else:
                standing.pop()
            while standing and standing[-1] != body["version"]:  # it was archived or deleted since
                standing.pop()
            if not standing:
                raise Damaged("rollback")
    return standing[-1] if standing else None


def votes(records: list[dict[str, Any]], version: int) -> dict[str, str]:
    """Tell what each actor thinks of a version: their last word counts."""
    said = [r for r in records if r["kind"] in {"approve", "reject"} and r["body"]["version"] == version]
    return {r["by"]["actor"].casefold(): r["kind"] for r in said}


def tags(records: list[dict[str, Any]], version: int) -> dict[str, str]:
    """Tell which tags a version has."""
    said: dict[str, Any] = {}
    for record in records:
        if record["kind"] == "tag" and record["body"]["version"] == version:
            said.update(record["body"]["tags"])
    return {name: value for name, value in said.items() if value is not None}


def frozen(records: list[dict[str, Any]]) -> bool:
    """Tell whether promotions are frozen."""
    return next((r["body"]["frozen"] for r in reversed(records) if r["kind"] == "freeze"), False)


def features(record: dict[str, Any]) -> list[tuple[str, str | None, bool, list[Any]]]:
    """List what a registered model takes: name, type, whether values were missing, and the levels."""
    columns = record["body"]["signature"]["inputs"]
    return [(c["name"], c.get("type"), c.get("nullable", False), c.get("categories", [])) for c in columns]


def read_object(store: Path, digest: str) -> bytes:
    hexes = digest.removeprefix("sha256:")
    data = (store / "objects" / hexes[:2] / hexes).read_bytes()
    if hashlib.sha256(data).hexdigest() != hexes:
        raise Damaged(digest)
    return data


def metric_points(data: bytes) -> list[list[Any]]:
    import zlib

    points = []
    for line in data.split(b"\n")[:-1]:
        body, _, crc = line.rpartition(b"\t")
        if crc != f"{zlib.crc32(body):08x}".encode():
            raise Damaged("metric line")
        points.append(json.loads(body))
    return points


def metric_history(store: Path, run_id: str) -> list[list[Any]]:
    """Read the points in the segments of a run that has ended, and see that none that its end counts is missing."""
    (path,) = (store / "runs").glob(f"*/{run_id}.end.json")
    points = []
    for number, lines in sorted((int(n), lines) for n, lines in read_record(path.read_bytes())["segments"].items()):
        found = metric_points((path.parent / f"{run_id}.metrics-{number:06d}.jsonl").read_bytes())
        if len(found) < lines:
            raise Damaged(f"segment {number}")
        points += found
    return points


# Signatures: ed25519 as in RFC 8032, section 5.1

PRIME = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
CURVE = -121665 * pow(121666, -1, PRIME) % PRIME
BASE_Y = 4 * pow(5, -1, PRIME) % PRIME


def ed25519(key: str, value: str, message: bytes) -> bool:
    public, signature = bytes.fromhex(key.removeprefix("ed25519:")), bytes.fromhex(value)
    owner, nonce = point(public), point(signature[:32])
    scalar = int.from_bytes(signature[32:], "little")
    if owner is None or nonce is None or scalar >= ORDER:
        return False
    challenge = int.from_bytes(hashlib.sha512(signature[:32] + public + message).digest(), "little") % ORDER
    base = point(BASE_Y.to_bytes(32, "little"))
    return times(scalar, base) == plus(nonce, times(challenge, owner))


def point(data: bytes) -> tuple[int, int] | None:
    """Find the point whose y, and the last bit of whose x, these bytes are."""
    number = int.from_bytes(data, "little")
    y, odd = number % 2**255, number >> 255
    square = (y * y - 1) * pow(CURVE * y * y + 1, -1, PRIME) % PRIME
    x = pow(square, (PRIME + 3) // 8, PRIME)
    if x * x % PRIME != square:
        x = x * pow(2, (PRIME - 1) // 4, PRIME) % PRIME
    if y >= PRIME or x * x % PRIME != square or (x == 0 and odd):
        return None
    return (x if x % 2 == odd else PRIME - x), y


def plus(one: tuple[int, int], other: tuple[int, int]) -> tuple[int, int]:
    product = CURVE * one[0] * other[0] * one[1] * other[1] % PRIME
    x = (one[0] * other[1] + one[1] * other[0]) * pow(1 + product, -1, PRIME)
    y = (one[1] * other[1] + one[0] * other[0]) * pow(1 - product, -1, PRIME)
    return x % PRIME, y % PRIME


def times(count: int, one: tuple[int, int]) -> tuple[int, int]:
    total = (0, 1)
    while count:
        total = plus(total, one) if count & 1 else total
        one, count = plus(one, one), count >> 1
    return total


# Fingerprints


def table_fingerprint(table: Any) -> str:
    columns = []
    for field, column in zip(table.schema, table.columns, strict=True):
        name, kind, storage = field.name, field_type_name(field), type_name(column.type)
        cells = column.to_pylist() if not _ticks(column.type) else _tick_list(column)
        leaves = [leaf(storage, cells[start : start + BLOCK]) for start in range(0, len(cells), BLOCK)]
        columns.append([name, kind, hashlib.sha256(b"".join(leaves)).hexdigest()])
    return f"fp1:{hashlib.sha256(b'mlk-fp1' + canonical([table.num_rows, BLOCK, columns])).hexdigest()}"


def field_type_name(field: Any) -> str:
    metadata = field.metadata or {}
    if b"ARROW:extension:name" not in metadata:
        return type_name(field.type)
    parameters = metadata.get(b"ARROW:extension:metadata", b"")
    said = f"[{hashlib.sha256(parameters).hexdigest()}]" if parameters else ""
    return f"ext:{escaped(metadata[b'ARROW:extension:name'].decode())}{said}:{type_name(field.type)}"


def escaped(name: str, special: str = "\\,:<>[]") -> str:
    return "".join(f"\\{char}" if char in special else char for char in name)


def type_name(kind: Any) -> str:
    text = str(kind)
    if text.startswith("struct<"):
        fields = [kind.field(i) for i in range(kind.num_fields)]
        return f"struct<{','.join(f'{escaped(field.name)}:{field_type_name(field)}' for field in fields)}>"
    if text in {"string", "large_string", "string_view"}:
        return "utf8"
    if text.startswith("timestamp"):
        return f"timestamp[{escaped(kind.tz or '', chr(92) + ']')}]"
    known = {"bool": "bool", "null": "null", "float": "float32", "double": "float64", "halffloat": "float16"}
    return known.get(text, text)


def _ticks(kind: Any) -> bool:
    return str(kind).startswith("timestamp")


def _tick_list(column: Any) -> list[int | None]:
    """Give timestamps as nanoseconds, whatever their unit, with no detour through Python's microseconds."""
    scale = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}[column.type.unit]
    return [None if cell is None else cell * scale for cell in column.cast("int64").to_pylist()]


def leaf(kind: str, cells: list[Any]) -> bytes:
    nulls = any(cell is None for cell in cells) and not kind.startswith("float") and kind != "null"
    remainders = kind.startswith("timestamp") and any(cell is not None and cell % 1000 for cell in cells)
    parts = struct.pack("<QB", len(cells), nulls + 2 * remainders)
    if nulls:
        parts += bits([cell is not None for cell in cells])
    return hashlib.sha256(parts + content(kind, cells, remainders=remainders)).digest()


def content(kind: str, cells: list[Any], *, remainders: bool) -> bytes:
    if kind == "null":
        return b""
    if kind == "bool":
        return bits([bool(cell) for cell in cells])
    if kind == "utf8":
        texts = [(cell or "").encode() for cell in cells]
        return struct.pack(f"<{len(texts)}i", *map(len, texts)) + b"".join(texts)
    if kind.startswith("timestamp"):
        whole = struct.pack(f"<{len(cells)}q", *[(cell or 0) // 1000 for cell in cells])
        rest = struct.pack(f"<{len(cells)}h", *[(cell or 0) % 1000 for cell in cells]) if remainders else b""
        return whole + rest
    if kind.startswith("float"):
        width = int(kind.removeprefix("float")) // 8
        return b"".join(float_bits(math.nan if cell is None else cell, width) for cell in cells)
    if kind.startswith(("int", "uint")):
        width = int(kind.lstrip("uint")) // 8
        return b"".join((cell or 0).to_bytes(width, "little", signed=kind[0] == "i") for cell in cells)
    raise NotImplementedError(kind)


def bits(flags: list[bool]) -> bytes:
    whole = bytearray((len(flags) + 7) // 8)
    for place, flag in enumerate(flags):
        whole[place // 8] |= flag << place % 8
    return bytes(whole)


def float_bits(value: float, width: int) -> bytes:
    return NAN_BITS[width] if math.isnan(value) else struct.pack({2: "<e", 4: "<f", 8: "<d"}[width], value)


def array_fingerprint(dtype: str, shape: list[int], flat: list[Any]) -> str:
    """Fingerprint an array given by its dtype, as numpy writes it, and its values in C order."""
    width = int(dtype[2:])
    if dtype[1] == "f":
        data = b"".join(float_bits(value, width) for value in flat)
    else:
        data = b"".join(int(value).to_bytes(width, "little", signed=dtype[1] == "i") for value in flat)
    return f"fp1:{hashlib.sha256(b'mlk-fp1-array' + canonical([dtype, shape]) + data).hexdigest()}"


def small_float_fingerprint(dtype: str, shape: list[int], bits_in_order: bytes) -> str:
    """Fingerprint an array of a dtype that numpy lacks, by the bits of its values."""
    return f"fp1:{hashlib.sha256(b'mlk-fp1-array' + canonical([dtype, shape]) + bits_in_order).hexdigest()}"


def dataset_identity(manifest: dict[str, Any]) -> str:
    """Compute the identity of a version of a plain Arrow table: no nested types, no metadata, no nulls among floats."""
    said = {name: value for name, value in manifest["header"].items() if name != "schema"}
    said |= {"metadata": [[] for _ in range(1 + len(said["types"]))], "unseen": {}}
    rest = hashlib.sha256(canonical(said)).hexdigest()
    return hashlib.sha256(f"{manifest['fingerprint']}\n{rest}".encode()).hexdigest()


def code_digest(functions: dict[str, str]) -> str:
    """Compute what a record says of code that a pickle names, from the parts of the user's own functions reached."""
    return f"fp2:{hashlib.sha256(canonical(functions)).hexdigest()}"


def value_fingerprint(value: Any) -> str:
    return f"fp1:{hashlib.sha256(b'mlk-fp1-value' + encoded(value)).hexdigest()}"


PARTS: dict[type, Any] = {
    Decimal: lambda v: [str(v)],
    Fraction: lambda v: [v.numerator, v.denominator],
    UUID: lambda v: [v.bytes],
    range: lambda v: [v.start, v.stop, v.step],
    slice: lambda v: [v.start, v.stop, v.step],
    date: lambda v: [v.isoformat()],
    datetime: lambda v: [v.replace(tzinfo=None).isoformat(), v.fold, v.tzinfo],
    time: lambda v: [v.replace(tzinfo=None).isoformat(), v.fold, v.tzinfo],
    timedelta: lambda v: [v.days, v.seconds, v.microseconds],
    timezone: lambda v: [v.utcoffset(None), v.tzname(None)],
}


def encoded(value: Any) -> bytes:
    tag = {type(None): "none"}.get(type(value), type(value).__name__.lower())
    if type(value) in PARTS:
        return node(tag, [encoded(part) for part in PARTS[type(value)](value)])
    match value:
        case list() | tuple():
            return node(tag, [encoded(item) for item in value])
        case set() | frozenset():
            return node(tag, sorted(encoded(item) for item in value))
        case dict():
            return node(tag, sorted(encoded(key) + encoded(item) for key, item in value.items()))
    contents = {
        "none": lambda: b"",
        "bool": lambda: bytes([value]),
        "int": lambda: value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True),
        "float": lambda: float_bits(value, 8),
        "str": lambda: value.encode("utf-8", "surrogatepass"),
        "bytes": lambda: value,
        "bytearray": lambda: bytes(value),
        "complex": lambda: float_bits(value.real, 8) + float_bits(value.imag, 8),
        "ellipsis": lambda: b"",
    }
    return atom(tag, contents[tag]())


def atom(tag: str, data: bytes) -> bytes:
    return struct.pack("<BQ", len(tag.encode()), len(data)) + tag.encode() + data


def node(tag: str, parts: list[bytes]) -> bytes:
    return atom(tag, hashlib.sha256(b"".join(parts)).digest())


def plain_value(value: Any) -> Any:
    """Turn the plain form of a value, as it stands in a record, back into the value."""
    import base64

    if isinstance(value, list):
        return [plain_value(item) for item in value]
    if not isinstance(value, dict):
        return value
    if "$" not in value:
        return {key: plain_value(item) for key, item in value.items()}
    inner = value["v"]
    made = {
        "float": lambda: float(inner),
        "int": lambda: int(inner),
        "bytes": lambda: base64.b64decode(inner),
        "str": lambda: base64.b64decode(inner).decode("utf-8", "surrogatepass"),
        "tuple": lambda: tuple(plain_value(item) for item in inner),
        "set": lambda: {plain_value(item) for item in inner},
        "frozenset": lambda: frozenset(plain_value(item) for item in inner),
        "dict": lambda: {plain_value(key): plain_value(item) for key, item in inner},
        "repr": lambda: inner,
    }
    return made[value["$"]]()


def step_key(record: dict[str, Any]) -> str:
    """Compute the key under which the result of a step is kept."""
    pairs = [sorted(record.get(member, {}).items()) for member in ("arguments", "packages", "depends")]
    parts = ["mlk-step1", record["python"], record["code"], record.get("version"), *pairs]
    return hashlib.sha256(canonical(parts)).hexdigest()

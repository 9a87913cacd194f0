"""The text of uncommitted changes: no key file, no secret, and a word of each that is missing."""

from __future__ import annotations

import subprocess
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from mlops_kit.tracking.patch import kept_patch

SECRET = "ghp_" + "a1" * 18


def change(name, *lines):
    body = "".join(f"{line}\n" for line in lines)
    return f"diff --git a/{name} b/{name}\n--- a/{name}\n+++ b/{name}\n@@ -7,9 +7,9 @@ def f():\n{body}".encode()


def test_lines_are_counted_as_in_the_files():
    patch = kept_patch(
        change("conf.yml", " depth: 3", f"-token: {SECRET}", f"+token: {SECRET}x", " k: 1", f" a: {SECRET}")
    )
    assert patch.masked == ["conf.yml:-8", "conf.yml:8", "conf.yml:10"]
    assert SECRET.encode() not in patch.text


def test_a_private_key_is_masked_to_its_last_line():
    key = ["+-----BEGIN PRIVATE KEY-----", "+MIIEow", "+QUJDRA", "+-----END PRIVATE KEY-----", "+plain"]
    patch = kept_patch(change("key.txt", *key))
    assert b"MIIEow" not in patch.text
    assert b"QUJDRA" not in patch.text
    assert b"+plain" in patch.text


def test_the_changes_of_other_files_stay_to_the_byte():
    plain = change("a.py", "+x = 1", "-\xff\t") + change("b.csv", "+1;2")
    patch = kept_patch(change(".env", "+hunter2") + plain + change("x/id_rsa", "+hunter2"))
    assert (patch.text, patch.secret, patch.masked) == (plain, [".env", "x/id_rsa"], [])


NAMES = st.text(st.characters(blacklist_characters="/\0", blacklist_categories=["Cs"]), min_size=1, max_size=12)


@given(NAMES, st.booleans())
def test_no_name_hides_a_key_file(name, quoted):
    """git quotes names with odd characters; a file's folder and its own name are found all the same."""
    path = f"{name}/.env" if quoted else f".env.{name}"
    written = "".join(f"\\{byte:03o}" if byte < 32 or byte in b'"\\\x7f' else chr(byte) for byte in path.encode())
    is_quoted = "\\" in written
    shown = [f'"{side}/{written}"' if is_quoted else f"{side}/{written}" for side in "ab"]
    data = f"diff --git {shown[0]} {shown[1]}\n--- {shown[0]}\n+++ {shown[1]}\n@@ -1 +1 @@\n+hunter2\n"
    assert b"hunter2" not in kept_patch(data.encode("latin-1")).text


def test_a_key_file_that_is_renamed_is_left_out_under_both_names(repository, tmp_path):
    lines = "".join(f"line {n}\n" for n in range(20))
    Path(".env").write_text(lines)
    repository("add", "-f", ".env")
    repository("commit", "-m", "first")
    repository("mv", ".env", "plain.txt")
    Path("plain.txt").write_text(lines + "hunter2\n")
    data = subprocess.run(["git", "diff", "HEAD", "-M"], cwd=tmp_path, capture_output=True, check=True).stdout
    assert b"rename from" in data
    assert kept_patch(data).text == b""

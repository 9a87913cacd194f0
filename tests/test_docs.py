"""The documentation builds without a warning, from local files alone, and shows every public name."""

import subprocess
import sys
import zlib
from pathlib import Path

import pytest

import mlops_kit

DOCS = Path(__file__).parents[1] / "docs"


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    site = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "--no-color", "-b", "html", DOCS, site]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return site


@pytest.mark.slow
def test_every_public_name_has_its_place_in_the_reference(built):
    header_and_body = (built / "objects.inv").read_bytes().split(b"\n", 4)
    documented = {line.split()[0] for line in zlib.decompress(header_and_body[4]).decode().splitlines()}
    public = {f"mlops_kit.{name}" for name in mlops_kit.__all__ if not name.startswith("__")}
    assert public
    assert not public - documented


@pytest.mark.slow
def test_pages_load_nothing_from_elsewhere(built):
    for path in built.rglob("*.html"):
        page = path.read_text(encoding="utf-8")
        assert 'src="http' not in page, path.name
        assert 'rel="stylesheet" type="text/css" href="http' not in page, path.name

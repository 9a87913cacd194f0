"""Files, folders and figures are kept under relative names."""

from __future__ import annotations

from pathlib import Path

import pytest

import mlops_kit as mk
from mlops_kit.errors import InvalidInput
from mlops_kit.tracking.artifacts import artifact_name, figure, read


def test_a_file_keeps_its_own_name_unless_given_another():
    Path("report.html").write_bytes(b"<p>")
    assert list(read("report.html", None)) == [("report.html", b"<p>")]
    assert list(read(Path("report.html"), "out/r.html")) == [("out/r.html", b"<p>")]


def test_a_folder_is_kept_file_by_file():
    Path("plots/deep").mkdir(parents=True)
    Path("plots/a.txt").write_bytes(b"a")
    Path("plots/deep/b.txt").write_bytes(b"b")
    assert list(read("plots", None)) == [("plots/a.txt", b"a"), ("plots/deep/b.txt", b"b")]


@pytest.mark.parametrize("data", [b"x", bytearray(b"x"), memoryview(b"x")])
def test_bytes_need_a_name(data):
    assert list(read(data, "x")) == [("x", b"x")]
    with pytest.raises(InvalidInput, match="name="):
        list(read(data, None))


@pytest.mark.parametrize("missing", ["missing.txt", 3, None, "a\0b", "x" * 5000])
def test_what_is_no_file_is_refused(missing):
    with pytest.raises(InvalidInput):
        list(read(missing, "name"))


@pytest.mark.parametrize(
    "name", ["", " ", "..", "../x", "a/../b", "/etc/passwd", "a//b", "a\\b", "a\nb", "x" * 256, 3, "."]
)
def test_names_that_lead_elsewhere_are_refused(name):
    with pytest.raises(InvalidInput):
        artifact_name(name)


@pytest.mark.parametrize(("name", "start"), [("roc", b"\x89PNG"), ("roc.svg", b"<?xml"), ("roc.pdf", b"%PDF")])
def test_a_figure_is_drawn_as_its_name_ends(name, start):
    from matplotlib.figure import Figure

    drawn = Figure()
    drawn.subplots().plot([1, 2])
    with mk.start_run() as run:
        mk.log_figure(drawn, name)
    full = name if "." in name else "roc.png"
    assert mk.get_run(run.id).load(full).startswith(start)


def test_a_figure_in_an_unknown_format_is_refused():
    from matplotlib.figure import Figure

    with pytest.raises(InvalidInput, match=r"roc\.xyz"):
        figure(Figure(), "roc.xyz")


class Plotly:
    def to_html(self):
        return "<div>"

    def to_json(self):
        return "{}"


@pytest.mark.parametrize(
    ("name", "expected"), [("a", (b"<div>", "a.html")), ("a.html", (b"<div>", "a.html")), ("a.json", (b"{}", "a.json"))]
)
def test_a_figure_that_writes_html_is_kept_as_html_or_json(name, expected):
    assert figure(Plotly(), name) == expected


def test_what_is_no_figure_is_refused():
    with pytest.raises(InvalidInput, match="savefig"):
        figure(3, "a")


def test_an_artifact_logged_again_takes_the_place_of_the_first():
    with mk.start_run() as run:
        mk.log_artifact(b"one", "x.txt")
        mk.log_artifact(b"two", "x.txt")
    found = mk.get_run(run.id)
    assert (found.load("x.txt"), list(found.artifacts), found.artifacts["x.txt"].size) == (b"two", ["x.txt"], 3)

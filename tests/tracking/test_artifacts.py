"""Files, folders and figures are kept under relative names."""

from __future__ import annotations

import os
import socket
import subprocess
from pathlib import Path

import pytest

import mlops_kit as mk
from mlops_kit.errors import InvalidInput
from mlops_kit.tracking import artifacts
from mlops_kit.tracking.artifacts import artifact_name, figure, write


def read(path_or_bytes, name):
    """Read what is to be kept, where nothing may be left out."""
    return artifacts.read(path_or_bytes, name, pytest.fail)


def test_a_file_keeps_its_own_name_unless_given_another():
    Path("report.html").write_bytes(b"<p>")
    assert list(read("report.html", None)) == [("report.html", b"<p>", False)]
    assert list(read(Path("report.html"), "out/r.html")) == [("out/r.html", b"<p>", False)]


def test_a_folder_is_kept_file_by_file():
    Path("plots/deep").mkdir(parents=True)
    Path("plots/a.txt").write_bytes(b"a")
    Path("plots/deep/b.txt").write_bytes(b"b")
    assert list(read("plots", None)) == [("plots/a.txt", b"a", False), ("plots/deep/b.txt", b"b", False)]


@pytest.mark.parametrize("data", [b"x", bytearray(b"x"), memoryview(b"x")])
def test_bytes_need_a_name(data):
    assert list(read(data, "x")) == [("x", b"x", False)]
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


posix = pytest.mark.skipif(os.name == "nt", reason="links and pipes need rights there")


@pytest.fixture
def folder():
    """Make a folder with what a folder may hold, and one outside that it links to."""
    for name in ("ckpt/empty", "ckpt/deep", "shared/weights"):
        Path(name).mkdir(parents=True)
    Path("ckpt/config.json").write_bytes(b"{}")
    Path("ckpt/deep/odd name \u017c.bin").write_bytes(bytes(range(256)))
    Path("shared/weights/w.bin").write_bytes(b"w")
    return Path("ckpt")


@posix
def test_a_folder_comes_back_as_a_folder_with_all_that_is_in_it(folder):
    (folder / "weights").symlink_to(Path("shared/weights").resolve())
    (folder / "latest.json").symlink_to("config.json")
    with mk.start_run() as run:
        run.log_artifact(folder)
        run.log_artifact(folder / "empty")
    again = mk.get_run(run.id)
    for back in (again.load("ckpt", to="back"), again.load("ckpt")):
        assert {
            path.relative_to(back).as_posix(): path.is_file() and path.read_bytes() for path in back.rglob("*")
        } == {
            "config.json": b"{}",
            "deep": False,
            "deep/odd name \u017c.bin": bytes(range(256)),
            "empty": False,
            "latest.json": b"{}",
            "weights": False,
            "weights/w.bin": b"w",
        }
    assert list(again.load("empty").iterdir()) == []
    assert list(again.load("ckpt/deep", to="deep").iterdir()) == [Path("deep/odd name \u017c.bin")]
    assert run.problems == ()


def pipe(place):
    os.mkfifo(place)


def unix_socket(place):
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(str(place))


LEFT_OUT = {
    "a pipe": pipe,
    "a socket": unix_socket,
    "a device": lambda place: place.symlink_to("/dev/null"),
    "a link to nothing": lambda place: place.symlink_to("nowhere"),
    "a link to itself": lambda place: place.symlink_to(place.name),
    "a link to the folder around it": lambda place: place.symlink_to("."),
    "a name that is no path": lambda place: place.with_name("odd\\").write_bytes(b""),
    "a name that is no text": lambda place: Path(
        os.fsdecode(os.fsencode(place.with_name("odd")) + b"\xff")
    ).write_bytes(b""),
}


@posix
@pytest.mark.parametrize("what", LEFT_OUT)
def test_what_is_left_out_of_a_folder_is_a_problem_of_the_run(folder, what):
    LEFT_OUT[what](folder / "odd")
    with mk.start_run() as run, pytest.warns(mk.errors.RecordingWarning, match="odd"):
        run.log_artifact(folder)
    assert sorted(run.artifacts) == ["ckpt/config.json", "ckpt/deep/odd name \u017c.bin", "ckpt/empty/"]
    assert len(run.problems) == 1


def test_a_folder_with_the_store_in_it_is_kept_without_the_store():
    Path("train.py").write_text("pass")
    for _ in range(2):
        with (
            mk.start_run() as run,
            pytest.warns(mk.errors.RecordingWarning, match="it is the store that keeps the run"),
        ):
            run.log_artifact(".", "project")
        assert list(run.artifacts) == ["project/train.py"]


@posix
def test_a_folder_that_a_link_led_to_before_is_named_as_what_it_is():
    Path("both/real").mkdir(parents=True)
    Path("both/real/x").write_bytes(b"x")
    Path("both/link").symlink_to("real")
    with mk.start_run() as run, pytest.warns(mk.errors.RecordingWarning, match="kept as 'both/link'"):
        run.log_artifact("both")
    assert list(run.artifacts) == ["both/link/x"]


def test_no_path_is_no_folder():
    with mk.start_run() as run, pytest.warns(mk.errors.RecordingWarning, match="no file or folder ''"):
        run.log_artifact("")
    assert run.artifacts == {}


@posix
def test_programs_of_a_folder_may_be_run_when_it_comes_back(folder):
    script = folder / "serve.sh"
    script.write_text("#!/bin/sh\necho served\n")
    script.chmod(0o750)
    with mk.start_run() as run:
        run.log_artifact(folder)
        run.log_artifact(script)
    again = mk.get_run(run.id)
    back = again.load("ckpt")
    assert subprocess.run([back / "serve.sh"], check=True, capture_output=True).stdout == b"served\n"
    assert [name for name, ref in again.artifacts.items() if ref.executable] == ["ckpt/serve.sh", "serve.sh"]
    assert not os.access(back / "config.json", os.X_OK)


@posix
def test_what_a_strict_run_would_leave_out_of_a_folder_is_an_error(folder):
    os.mkfifo(folder / "odd")

    @mk.track(strict=True)
    def train():
        mk.log_artifact(folder)

    with pytest.raises(mk.errors.UnsupportedData, match="no regular file"):
        train()


def test_a_folder_is_written_to_no_folder_that_has_something_in_it():
    Path("there").mkdir()
    Path("there/mine.txt").write_text("mine")
    with pytest.raises(InvalidInput, match="not empty"):
        write({"a": bytes}, "there")
    assert [path.name for path in Path("there").iterdir()] == ["mine.txt"]


@pytest.mark.parametrize("name", ["../x", "/x", "a/../../x", "a\\..\\x", "", "a//b"])
def test_no_name_of_a_record_leads_out_of_the_folder(name):
    with pytest.raises(InvalidInput):
        write({"fine": bytes, name: bytes}, "new")
    assert not Path("new").exists()
    assert not Path("x").exists()

"""``mlops-kit demo``: put a training script into a folder and run it there, as a user would."""

from __future__ import annotations

import importlib.resources
import os
import subprocess
import sys
from pathlib import Path

import click

SCRIPT = "train.py"
_SETTINGS = '[tool.mlops_kit]\nstore = ".mlops"\n'


def run_demo(folder: str) -> int:
    """Write the demonstration script to a folder and run it with this Python.

    Parameters
    ----------
    folder : str
        Made if it does not exist. Runs, data and models are recorded in ``.mlops`` inside it.

    Returns
    -------
    int
        The exit code of the script.
    """
    home = Path(folder).resolve()
    try:
        _place(home)
    except OSError as error:
        raise click.ClickException(f"{home} cannot be the folder of the demonstration: {error}.") from error
    encoding = os.environ.get("PYTHONIOENCODING", "").partition(":")[0]
    changes = {"MLOPS_KIT_STORE": str(home / ".mlops"), "PYTHONIOENCODING": f"{encoding}:replace"}
    environment = {**os.environ, **changes}
    return subprocess.run([sys.executable, SCRIPT], cwd=home, env=environment, check=False).returncode  # noqa: S603 - our own script


def _place(home: Path) -> None:
    """Write the script, unless the user has changed it."""
    home.mkdir(parents=True, exist_ok=True)
    script = home / SCRIPT
    settings = home / "pyproject.toml"
    if not settings.exists():
        settings.write_text(_SETTINGS, encoding="utf-8")  # so that the command line finds the same store in there
    text = importlib.resources.files("mlops_kit.cli").joinpath("demo_train.py.txt").read_bytes()
    if script.exists() and script.read_bytes() != text:
        click.echo(f"Using {script} as you have changed it; delete it to get the original back.", err=True)
    else:
        script.write_bytes(text)

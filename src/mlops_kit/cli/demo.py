"""``mlops-kit demo``: put a training script into a folder and run it there, as a user would."""

from __future__ import annotations

import importlib.resources
import os
import subprocess
import sys
from pathlib import Path

import click

from mlops_kit.cli.options import say

SCRIPT = "train.py"
_FILES = {SCRIPT: "demo_train.py.txt", "cleaning.py": "demo_cleaning.py.txt"}
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
    """Write the scripts and where they record, unless the user has changed them; a stranger's script is not run."""
    home.mkdir(parents=True, exist_ok=True)
    packaged = importlib.resources.files("mlops_kit.cli")
    texts = {home / name: packaged.joinpath(source).read_bytes() for name, source in _FILES.items()}
    for script, text in texts.items():
        if script.exists() and not script.read_bytes().startswith(text.partition(b"\n")[0]):
            raise click.ClickException(f"{script} is a file of your own. Choose another folder: mlops-kit demo FOLDER")
    for script, text in texts.items():
        if not script.exists():
            script.write_bytes(text)
        elif script.read_bytes() != text:
            say(f"Using {script} as you have changed it; delete it to get the original back.", err=True)
    settings = home / "pyproject.toml"
    if not settings.exists():
        settings.write_text(_SETTINGS, encoding="utf-8")  # so that the command line finds the same store in there

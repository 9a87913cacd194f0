"""Who is writing: the name that goes into each journal entry and run."""

from __future__ import annotations

import functools
import getpass
import os
import socket
import subprocess

from mlops_kit.store.git_command import git_command, git_environment

_CI_ACTORS = ("GITHUB_ACTOR", "GITLAB_USER_LOGIN", "BUILDKITE_BUILD_CREATOR", "CIRCLE_USERNAME", "BUILD_USER_ID")
_GIT_SECONDS = 5


def author() -> dict[str, str]:
    """Name the present user.

    Returns
    -------
    dict
        ``actor``, and ``source``: ``"config"`` (``MLOPS_KIT_USER``), else ``"git"`` (the e-mail configured
        there), else ``"ci"`` (the actor a CI system names), else ``"user"`` (login and host).

    Examples
    --------
    >>> sorted(author())
    ['actor', 'source']
    """
    configured = os.environ.get("MLOPS_KIT_USER")
    if configured:
        return {"actor": _text(configured), "source": "config"}
    email = _git_email(here())
    if email:
        return {"actor": email, "source": "git"}
    for variable in _CI_ACTORS:
        if os.environ.get(variable):
            return {"actor": _text(os.environ[variable]), "source": "ci"}
    return {"actor": _text(f"{login()}@{host()}"), "source": "user"}


def _text(given: str) -> str:
    """Make what the system gave fit for a record: its bytes may be of any encoding."""
    return given.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


@functools.cache
def login() -> str:
    """Give the login name, or the number of a user that has none."""
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        return str(os.getuid()) if hasattr(os, "getuid") else "unknown"


@functools.cache
def host() -> str:
    """Give the name of this machine."""
    return socket.gethostname()


@functools.cache
def boot() -> str | None:
    """Give an id of this start of the machine, so that a process id can be held against it."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return None


def namespace() -> str | None:
    """Give an id of the process ids that are valid here: containers of one machine each have their own."""
    try:
        return os.readlink("/proc/self/ns/pid")
    except OSError:
        return None


@functools.lru_cache(maxsize=64)
def _git_email(folder: str) -> str | None:
    try:
        done = subprocess.run(  # noqa: S603 - fixed words, no shell
            git_command("config", "--get", "user.email"),
            cwd=folder,
            env=git_environment(),
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=_GIT_SECONDS,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() or None


def here() -> str:
    """Give the current folder, or the root where it was deleted."""
    try:
        return os.getcwd()
    except OSError:
        return os.sep

"""git, started so that it runs nothing that a repository or the environment names."""

from __future__ import annotations

import os
import shutil

_OFF = (
    "core.fsmonitor=",
    f"core.hooksPath={os.devnull}",
    "core.pager=cat",
    "core.askPass=",
    "core.sshCommand=",
    "core.gitProxy=",
    "core.alternateRefsCommand=",
    "core.quotepath=off",
    "credential.helper=",
    "diff.external=",
    f"diff.orderFile={os.devnull}",  # a file that never ends would keep git reading
    "diff.autoRefreshIndex=false",
    "status.submoduleSummary=false",
)
_SET = {
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ALLOW_PROTOCOL": "none",  # the objects that a partial clone lacks are not fetched
    "GIT_NO_LAZY_FETCH": "1",
    "LC_ALL": "C",
}


def git_command(*words: str, settings: tuple[str, ...] = ()) -> list[str]:
    """Return the command line that asks git.

    Parameters
    ----------
    *words : str
        A subcommand that reads, and its arguments.
    settings : tuple of str
        Further ``key=value`` settings that go before those of the repository.

    Returns
    -------
    list of str
        The program and its arguments.

    Raises
    ------
    FileNotFoundError
        No absolute folder of ``PATH`` has git.
    """
    folders = [folder for folder in os.get_exec_path() if os.path.isabs(folder)]
    program = shutil.which("git", path=os.pathsep.join(folders))
    if program is None or not os.path.isabs(program):  # Windows looks in the current folder first
        raise FileNotFoundError("there is no program 'git' in the folders of PATH")
    options = [part for setting in (*_OFF, *settings) for part in ("-c", setting)]
    return [program, "--no-pager", *options, *words]


def git_environment() -> dict[str, str]:
    """Return this process's environment without anything that redirects git or lets it run a program."""
    kept = {name: value for name, value in os.environ.items() if not name.upper().startswith(("GIT_", "SSH_ASKPASS"))}
    return {**kept, **_SET}

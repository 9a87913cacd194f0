"""The home folder of the user, who may have none."""

from __future__ import annotations

import os


def expanded(path: str) -> str | None:
    """Return a path with the user's home folder in place of ``~``.

    Parameters
    ----------
    path : str
        As users write it.

    Returns
    -------
    str or None
        None where there is no such home folder. It is never taken for a folder named ``~``.

    Examples
    --------
    >>> expanded("/srv/models"), expanded("~nobody-of-this-name/models")
    ('/srv/models', None)
    """
    full = os.path.expanduser(path)
    return None if full.startswith("~") else full

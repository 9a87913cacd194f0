"""The errors of the library in the words of the command line: verbs where they advise calls."""

from __future__ import annotations

import re

from mlops_kit.errors import MlopsKitError

_VERBS = {
    "acknowledge": "mlops-kit alerts NAME --acknowledge {0}",
    "aliases": "mlops-kit models {0}",
    "alerts": "mlops-kit alerts NAME",
    "approve": "mlops-kit approve {0}",
    "audit": "mlops-kit audit",
    "describe": "mlops-kit models {0} --describe TEXT",
    "doctor": "mlops-kit doctor",
    "evidence": "mlops-kit evidence {0}",
    "fsck": "mlops-kit fsck",
    "gc": "mlops-kit gc",
    "get": "mlops-kit models {0}",
    "history": "mlops-kit show {0}",
    "list_runs": "mlops-kit runs",
    "names": "mlops-kit models",
    "promote": "mlops-kit promote {0} --alias {1}",
    "require": "mlops-kit require {0} --against {1} --lift --reason WHY",
    "required": "mlops-kit models {0}",
    "retire": "mlops-kit retire {0} --alias {1}",
    "rollback": "mlops-kit rollback {0}",
    "sync": "mlops-kit sync",
    "tag": "mlops-kit models {0} --tag KEY=VALUE",
    "timeline": "mlops-kit models {0} --timeline {1}",
    "unfreeze": "mlops-kit models {0} --unfreeze",
}
"""The verb that does what a call does, with the first two arguments of the call."""
_OF_DATASETS = {"names": "mlops-kit data", "versions": "mlops-kit data {0}"}
_CALL = re.compile(
    r"""`?(?:\b(?:mk|mlops_kit)\.)?\b(?P<of>models|ModelStore\(\)|Dataset|monitor|Store(?:\(\))?|(?:mk|mlops_kit)(?=\.list_runs))
    \.(?P<verb>\w+)\((?P<given>[^()]*)\)`?""",
    re.VERBOSE,
)
_GIVEN = re.compile(r"""'([^']*)'|"([^"]*)"|\b([a-z_]\w*)\b(?!=)""")


def told(error: MlopsKitError) -> str:
    """Return the kind and the message of an error, with verbs for the calls that it advises."""
    return f"{type(error).__name__}: {in_verbs(str(error))}"


def in_verbs(message: str) -> str:
    """Put the verb in the place of each call that has one.

    Examples
    --------
    >>> in_verbs("Look at models.history('fraud'), or lift it with models.unfreeze('fraud').")
    'Look at `mlops-kit show fraud`, or lift it with `mlops-kit models fraud --unfreeze`.'
    """
    message = message.replace("Promote with gate=;", "Promote with `mlops-kit gate --promote`;")
    return _CALL.sub(_verb, message)


def _verb(call: re.Match[str]) -> str:
    verbs = {**_VERBS, "versions": "mlops-kit models {0}"} | (_OF_DATASETS if call["of"] == "Dataset" else {})
    form = verbs.get(call["verb"])
    given = [single or double or name.upper() for single, double, name in _GIVEN.findall(call["given"])]
    return call[0] if form is None else f"`{form.format(*given, 'NAME', 'ALIAS')}`"

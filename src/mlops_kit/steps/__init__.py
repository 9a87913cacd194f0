"""The usual road of a model, as steps: read the data, split it, train, evaluate, judge, register, promote.

Each is an ordinary step, to be called in a `mlops_kit.pipeline` or outside of one, and to be replaced by a step of your
own. `gate`, `register` and `promote` look at what is live or change it, and run every time (``cache=False``); the road
up to `register` makes a version, and touches nothing that is live.
"""

from mlops_kit.steps.data import ingest, split
from mlops_kit.steps.models import Evaluation, evaluate, train
from mlops_kit.steps.release import gate, promote, register

__all__ = ["Evaluation", "evaluate", "gate", "ingest", "promote", "register", "split", "train"]

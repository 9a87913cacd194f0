"""`PipelineRun`: the run of a pipeline, with what its steps did."""

from __future__ import annotations

from mlops_kit.tracking.run import Run


class PipelineRun(Run):
    """The run of a pipeline: a `Run` whose ``steps`` say what ran, what was reused, and why.

    Examples
    --------
    >>> import mlops_kit as mk
    >>> @mk.step
    ... def load():
    ...     return [1, 2]
    >>> @mk.pipeline(store="memory://pipeline-run-doc")
    ... def count():
    ...     return len(load())
    >>> count()
    2
    >>> [(call.status, call.reused) for call in count.last_run.steps]
    [('finished', False)]
    """

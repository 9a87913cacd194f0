"""``mlops-kit why``: why the steps of a pipeline ran."""

from __future__ import annotations

import click

import mlops_kit as mk
from mlops_kit.cli.options import of_store, show
from mlops_kit.pipelines.explain import why as explain
from mlops_kit.views.run import step_line


@click.command()
@click.argument("run")
@click.argument("step", required=False)
@of_store
def why(run: str, step: str | None, store: str | None) -> None:
    """Show why the steps of a RUN of a pipeline ran or were reused; of one STEP, what changed, with the source."""
    found = mk.get_run(run, store=store)
    if step is not None:
        show(explain(found, step))
    else:
        show(found.steps, "\n".join(map(step_line, found.steps)) or f"The run {found.id} called no steps.")

"""Starting a run, once: a job that is tried again finds the run that it started before."""

from typing import Any, NamedTuple

from pipelines.kubeflow.connecting import Kubeflow, contains
from pipelines.kubeflow.order import Order
from pipelines.kubeflow.publishing import Published, experiment_id, publish
from pipelines.kubeflow.states import will_go_on

_NAME_LENGTH = 100


class Started(NamedTuple):
    """A run that is under way."""

    run_id: str
    name: str
    url: str
    version: str
    """Of the pipeline."""
    attached: bool
    """Whether it was there before."""


def start_run(kubeflow: Kubeflow, order: Order, name: str | None) -> Started:
    """Start a run of a recipe, or find the one under way that would do the same.

    Args:
        kubeflow: where.
        order: what is to be run.
        name: how the run is called; its key is put behind.

    Raises:
        UserError: Kubeflow does not accept it.
        Unanswered: Kubeflow is out of reach.
    """
    published = publish(kubeflow, order.recipe.name, order.compiled, _origin(order))
    experiment = experiment_id(kubeflow, order.experiment)
    run, new = kubeflow.create_once(
        lambda: _active_run(kubeflow, experiment, order.key),
        lambda: _create_run(kubeflow, order, published, experiment, name or order.recipe.name),
    )
    return Started(
        run_id=run.run_id,
        name=run.display_name,
        url=kubeflow.place.run_url(run.run_id),
        version=published.version,
        attached=not new,
    )


def _active_run(kubeflow: Kubeflow, experiment: str, key: str) -> Any | None:
    """Of several, the oldest."""
    runs = kubeflow.all_pages(
        kubeflow.runs.run_service_list_runs,
        "runs",
        experiment_id=experiment,
        filter=contains("display_name", f"-{key}"),
    )
    active = [run for run in runs if will_go_on(run.state)]
    return min(active, key=lambda run: (run.created_at, run.run_id), default=None)


def _create_run(
    kubeflow: Kubeflow, order: Order, published: Published, experiment: str, name: str
) -> Any:
    from kfp_server_api import (  # type: ignore[import-untyped]
        V2beta1Run,
        V2beta1RuntimeConfig,
    )

    run = V2beta1Run(
        experiment_id=experiment,
        display_name=f"{name[:_NAME_LENGTH]}-{order.key}",
        description=_origin(order),
        pipeline_version_reference=published.reference,
        runtime_config=V2beta1RuntimeConfig(
            parameters=order.parameters, pipeline_root=order.pipeline_root
        ),
        service_account=order.service_account,
    )
    return kubeflow.once(kubeflow.runs.run_service_create_run, run)


def _origin(order: Order) -> str:
    commit = f" at commit {order.git_commit[:12]}" if order.git_commit else ""
    return f"Recipe {order.recipe.name}{commit}, submitted by kubedistill."

"""The pipeline that compares a challenger with the champion on fresh rows, in KFP's DSL."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from kfp import dsl
from kfp.dsl.base_component import BaseComponent

from components.data_validation.component import collect_rows
from components.evaluation.comparing.policy import Policy
from components.evaluation.component import compare_challenger
from components.registration.component import attach_comparison, fetch_version
from pipelines.task_settings import TaskSetting, apply_to_every_task

_POLICY = Policy()
_LATENCY = _POLICY.latency.model_dump(mode="json", exclude_unset=True)


class Outputs(NamedTuple):
    """What a comparison leaves behind."""

    comparison: dsl.Artifact
    page: dsl.HTML
    recommendation: str


def build_shadow(settings: Sequence[TaskSetting] = ()) -> BaseComponent:
    """The pipeline that compares a challenger with the champion.

    Args:
        settings: how every task is run, beside what it computes.
    """

    @dsl.pipeline(  # type: ignore[untyped-decorator]
        name="shadow",
        description="Compare a challenger with the champion on rows that arrived since",
    )
    def shadow(
        model: str,
        data_uri: str,
        champion: str = "champion",
        challenger: str = "challenger",
        id_column: str = "",
        label_column: str = "",
        time_column: str = "",
        since: str = "",
        leave_out_known: bool = True,
        margin: float = _POLICY.margin,
        min_agreement: float = _POLICY.min_agreement,
        confidence: float = _POLICY.confidence,
        min_rows: int = _POLICY.min_rows,
        latency: dict[str, Any] = _LATENCY,
        tracking_uri: str = "",
    ) -> Outputs:
        """Compare two registered versions on fresh rows, and keep the result with the challenger.

        No step is cached: each depends on the registry, or on the bytes behind a URI.

        Args:
            model: name of the registered model.
            data_uri: a Parquet file or folder with the rows.
            champion: the version that serving reads, by its alias or number.
            challenger: the version that waits for approval, by its alias or number.
            id_column: column with a unique id; empty for that of the challenger's recipe, where
                the data have it, or else the position.
            label_column: column with the class; empty for that of the challenger's recipe, where
                the data have it, or else no labels.
            time_column: column with the time at which a row arrived; empty where there is none.
            since: earlier rows are left out; empty for when the challenger was registered.
            leave_out_known: leave out rows that a model was trained or tested on, by their ids.
            margin: largest drop in accuracy that is tolerated, as a fraction of the rows.
            min_agreement: least share of the rows on which both must predict the same class, where
                labels are too few to judge.
            confidence: level of each bound.
            min_rows: fewer rows are not judged.
            latency: how latency is measured, as in a recipe's section `evaluation`.
            tracking_uri: MLflow tracking URI; empty for the environment's `MLFLOW_TRACKING_URI`.
        """

        def fetch(version: Any, name: str) -> Any:
            task = fetch_version(model=model, version=version, tracking_uri=tracking_uri)
            task.set_display_name(name).set_caching_options(False)
            return task.outputs["fetched"]

        old, new = fetch(champion, "fetch-champion"), fetch(challenger, "fetch-challenger")
        collected = collect_rows(
            uri=data_uri,
            champion=old,
            challenger=new,
            id=id_column,
            label=label_column,
            time=time_column,
            since=since,
            leave_out_known=leave_out_known,
        )
        collected.set_caching_options(False)
        compared = compare_challenger(
            model=model,
            rows=collected.outputs["rows"],
            champion=old,
            challenger=new,
            margin=margin,
            min_agreement=min_agreement,
            confidence=confidence,
            min_rows=min_rows,
            latency=latency,
        )
        compared.set_caching_options(False)
        attached = attach_comparison(
            comparison=compared.outputs["comparison"],
            page=compared.outputs["page"],
            tracking_uri=tracking_uri,
        )
        attached.set_caching_options(False)
        apply_to_every_task(settings)
        return Outputs(
            comparison=compared.outputs["comparison"],
            page=compared.outputs["page"],
            recommendation=compared.outputs["recommendation"],
        )

    return shadow

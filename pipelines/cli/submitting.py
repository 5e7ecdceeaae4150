"""``kubedistill submit``: run a recipe in Kubeflow and, where asked to, wait for its verdict."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml
from rich.markup import escape

from components.shared.errors import StepFailed, StorageFailed, UserError
from pipelines.cli.console import console, print_json, say
from pipelines.cli.exit_status import ExitStatus
from pipelines.kubeflow.connecting import Kubeflow, connect
from pipelines.kubeflow.failures import Refused
from pipelines.kubeflow.order import Order
from pipelines.kubeflow.runs import Started, start_run
from pipelines.kubeflow.staleness import age_of, data_digest, due, read_past
from pipelines.kubeflow.states import Step, in_words, step_names
from pipelines.kubeflow.telling import Told, figure_rows, headline
from pipelines.kubeflow.verdict import Judged, read_verdict
from pipelines.kubeflow.waiting import Ended, Listener, NotFinished, follow_run

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""PyYAML's own takes a second for a pipeline, and is not built everywhere."""


@dataclass(frozen=True)
class SubmitOptions:
    """Where, when and how to submit."""

    endpoint: str | None
    namespace: str | None
    run_name: str | None
    wait: bool
    timeout_s: float | None
    """Null for as long as the run takes."""
    patience_s: float
    """How long Kubeflow may be out of reach while a run is followed."""
    if_data_changed: bool
    if_stale: str | None
    """The age of a champion that is old, such as ``30d``."""
    summary: Path | None
    """A file that Markdown is appended to."""
    as_json: bool


def submit_recipe(order: Order, options: SubmitOptions) -> int:
    """Submit, follow, and say what came of it.

    Args:
        order: what is to be run.
        options: where, when and how.

    Returns:
        The exit status; where the run failed or was rejected, all is told before.

    Raises:
        UserError: the recipe, an option, or what Kubeflow makes of them is wrong.
        StepFailed: Kubeflow or MLflow is out of reach, or the run failed or has not ended.
    """
    told = Told(recipe=order.recipe.name, reason="")
    age = None if options.if_stale is None else age_of(options.if_stale)
    _append_summary("", options)
    try:
        if options.if_data_changed or age is not None:
            past = read_past(order.recipe.registry, order.tracking_uri)
            digest = data_digest(order.recipe) if options.if_data_changed else None
            answer = due(past, digest, age, datetime.now(UTC))
            told = replace(told, reason=answer.reason)
            if not answer.submit:
                say(f"not submitted: {answer.reason}")
                return _end(told, options, ExitStatus.DONE)
            say(f"submitted, since {answer.reason}")
        kubeflow = connect(options.endpoint, options.namespace)
        run = start_run(kubeflow, order, options.run_name)
        told = replace(told, run=run)
        _say_started(run)
        if not options.wait:
            return _end(told, options, ExitStatus.DONE)
        ended = _follow(kubeflow, order, run, options)
        told = replace(told, state=ended.state, failed=ended.failed)
        if ended.state != "SUCCEEDED":
            raise StepFailed(_failure(run, ended))
        judged = read_verdict(
            order.recipe.registry,
            run.run_id,
            order.tracking_uri,
            ended.pipeline_root or order.pipeline_root,
        )
        told = replace(told, judged=judged)
    except KeyboardInterrupt:
        if told.run is None:
            raise
        _end(replace(told, problem="interrupted"), options, ExitStatus.INTERRUPTED)
        raise SystemExit(ExitStatus.INTERRUPTED) from None
    except (StepFailed, StorageFailed, UserError) as error:
        broken = replace(told, problem=str(error))
        _append_summary(broken.as_markdown(), options)
        if not (options.as_json and told.run):
            raise
        # With the run's id, without which nobody could look after it.
        status = ExitStatus.USER_ERROR if isinstance(error, UserError) else ExitStatus.BROKEN
        print_json(broken.as_json(status))
        console.print(f"[bold red]error:[/] {escape(str(error))}", soft_wrap=True)
        return status
    _show(judged)
    rejected = judged.verdict == "reject"
    return _end(told, options, ExitStatus.REJECTED if rejected else ExitStatus.DONE)


def _follow(kubeflow: Kubeflow, order: Order, run: Started, options: SubmitOptions) -> Ended:
    listener = Listener(
        stepped=_say_step,
        lost=lambda why: say(f"{why}; waiting for it", style="yellow"),
        back=lambda: say("Kubeflow answers again", style="yellow"),
    )
    compiled: Mapping[str, Any] = next(yaml.load_all(order.compiled, _LOADER))
    try:
        return follow_run(
            kubeflow,
            run.run_id,
            step_names(compiled),
            listener,
            timeout_s=options.timeout_s,
            patience_s=options.patience_s,
        )
    except KeyboardInterrupt:
        say(f"no longer followed; run {run.run_id} goes on: {run.url}", style="yellow")
        raise
    except (NotFinished, Refused) as error:
        raise type(error)(f"{error}; run {run.run_id} was not stopped: {run.url}") from error


def _say_started(run: Started) -> None:
    verb = "attached to" if run.attached else "started"
    say(f"{verb} run {run.name} ({run.run_id})")
    say(run.url)


def _say_step(step: Step) -> None:
    colours = {"FAILED": "red", "SUCCEEDED": "green", "CANCELED": "yellow"}
    console.print(f"  {step.name}: ", end="", markup=False)
    say(in_words(step.state), style=colours.get(step.state))


def _failure(run: Started, ended: Ended) -> str:
    if ended.state in {"CANCELED", "SKIPPED"}:
        return f"run {run.run_id} was {in_words(ended.state)}: {run.url}"
    if ended.failed:
        steps = [
            f"{step.name}{': ' + step.message if step.message else ''}" for step in ended.failed
        ]
        return f"run {run.run_id} failed in {'; '.join(steps)}. Its logs: {run.url}"
    why = f": {ended.message}" if ended.message else " before any step did"
    return f"run {run.run_id} failed{why}. See {run.url}"


def _show(judged: Judged) -> None:
    colours = {"reject": "bold red", "promote": "bold green"}
    console.print()
    say(headline(judged), style=colours[judged.verdict])
    if judged.summary:
        say(judged.summary)
    for reason in judged.reasons:
        say(f"  {reason}")
    figures = ", ".join(f"{name} {value}" for name, value in figure_rows(judged))
    if figures:
        say(figures)


def _end(told: Told, options: SubmitOptions, status: int) -> int:
    _append_summary(told.as_markdown(), options)
    if options.as_json:
        print_json(told.as_json(status))
    return status


def _append_summary(text: str, options: SubmitOptions) -> None:
    """A job may submit several recipes, and has one file for all.

    Nothing is appended before anything is sent, so that a wrong file is no surprise at the end.
    """
    if options.summary is None:
        return
    try:
        with options.summary.open("a", encoding="utf-8") as file:
            file.write(text and f"{text}\n")
    except OSError as error:
        raise UserError(f"--summary {options.summary}: {error.strerror or error}") from error

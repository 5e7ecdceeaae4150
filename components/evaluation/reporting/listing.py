"""The models that a report shows: the candidates, and the arms that they are compared with."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from components.evaluation.reporting.arm_titles import MEANINGS, ORDER, arm_titles
from components.shared.candidates import REFERENCE
from components.shared.results import (
    ArmResult,
    CandidateResult,
    Decision,
    Estimate,
    Evaluation,
    Latency,
    MetricName,
    Quality,
)

Look = Literal["student", "reference", "teacher", "hard_label", "pseudo_label", "champion"]
"""Colour and shape in drawings."""


class Figures(Protocol):
    """What a table of metrics needs of a model."""

    @property
    def metrics(self) -> dict[MetricName, Estimate]:
        """By name; those that do not apply are left out."""


class Measured(Figures, Protocol):
    """What tables and charts of several pages need of a model."""

    @property
    def latency_ms(self) -> Latency:
        """Under the condition that gates judge."""


class Named(Protocol):
    """A model on a page, of which the metrics are known."""

    @property
    def key(self) -> str:
        """Unique on a page."""

    @property
    def title(self) -> str:
        """How the page calls it."""

    @property
    def look(self) -> Look:
        """Colour and shape in drawings."""

    @property
    def result(self) -> Figures:
        """What was measured of it."""


class Shown(Named, Protocol):
    """A model on a page that was run."""

    @property
    def result(self) -> Measured:
        """What was measured of it."""


@dataclass(frozen=True)
class Judged:
    """A model whose predictions were measured."""

    key: str
    """The candidate's or the arm's name; unique in a report."""
    title: str
    meaning: str
    look: Look
    result: Quality
    open: bool = field(default=False, kw_only=True)
    """A candidate beside others that missed a gate: its symbol is hollow."""
    ring: bool = field(default=False, kw_only=True)
    """The candidate among several that the verdict is on: its symbol has a ring."""


@dataclass(frozen=True)
class Model(Judged):
    """A model that was run here."""

    result: ArmResult
    candidate: bool
    """Whether it may be deployed."""


def subject(evaluation: Evaluation, decision: Decision) -> CandidateResult:
    """The candidate that the verdict is on; the float32 student where none could be made."""
    return evaluation.candidate(decision.candidate) or CandidateResult(
        name=REFERENCE,
        how="the student as it was trained",
        measured=evaluation.arms["student"],
        paired=evaluation.paired,
    )


def plain(evaluation: Evaluation) -> bool:
    """Whether the student as trained is all there is to deploy."""
    return [candidate.name for candidate in evaluation.candidates] in ([], [REFERENCE])


def subject_name(evaluation: Evaluation, decision: Decision) -> str:
    """How sentences call the model that the verdict is on."""
    if plain(evaluation):
        return "the student"
    return f"the {subject(evaluation, decision).name} student"


def candidates(evaluation: Evaluation, decision: Decision) -> list[Model]:
    """What may be deployed, in the order of the recipe."""
    alone, several = plain(evaluation), len(evaluation.candidates) > 1
    passed = {judged.name for judged in decision.candidates if judged.passed}
    return [
        Model(
            key=candidate.name,
            title="Student" if alone else candidate.name,
            meaning=MEANINGS["student"] if alone else candidate.how,
            look="student",
            result=candidate.measured,
            candidate=True,
            open=several and candidate.name not in passed,
            ring=several and candidate.name == decision.candidate,
        )
        for candidate in evaluation.candidates
    ]


def listed(evaluation: Evaluation, decision: Decision) -> list[Model]:
    """Every model that was run: the one that the verdict is on, then the other candidates, then
    arms."""
    models = candidates(evaluation, decision)
    models.sort(key=lambda model: model.key != decision.candidate)
    titles = arm_titles(evaluation)
    if evaluation.candidate(REFERENCE) is None:
        models.append(
            Model(
                key="student",
                title="float32" if models else titles["student"],
                meaning="the student as it was trained; not to be deployed",
                look="reference" if models else "student",
                result=evaluation.arms["student"],
                candidate=False,
            )
        )
    models += [
        Model(name, titles[name], MEANINGS[name], name, evaluation.arms[name], candidate=False)
        for name in ORDER
        if name != "student" and name in evaluation.arms
    ]
    return models


def served_teacher(evaluation: Evaluation) -> list[Judged]:
    """The teacher, where it was not run here."""
    result = evaluation.served_teacher
    if result is None:
        return []
    return [
        Judged("teacher", arm_titles(evaluation)["teacher"], result.described, "teacher", result)
    ]


def judged(models: Sequence[Model], evaluation: Evaluation) -> list[Judged]:
    """The models of :func:`listed`, and a teacher that was not run here in its place among them."""
    arms = [model.look in ("hard_label", "pseudo_label", "champion") for model in models]
    place = arms.index(True) if True in arms else len(models)
    return [*models[:place], *served_teacher(evaluation), *models[place:]]

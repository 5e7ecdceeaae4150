"""The models that a report shows: the candidates, and the arms that they are compared with."""

from dataclasses import dataclass
from typing import Literal

from components.evaluation.reporting.arm_titles import MEANINGS, ORDER, arm_titles
from components.shared.candidates import REFERENCE
from components.shared.results import ArmResult, CandidateResult, Decision, Evaluation

Look = Literal["student", "reference", "teacher", "hard_label", "pseudo_label", "champion"]
"""Colour and shape in drawings."""


@dataclass(frozen=True)
class Model:
    """One model of the report."""

    key: str
    """The candidate's or the arm's name; unique in a report."""
    title: str
    meaning: str
    look: Look
    result: ArmResult
    candidate: bool
    """Whether it may be deployed."""
    open: bool = False
    """A candidate beside others that missed a gate: its symbol is hollow."""
    ring: bool = False
    """The candidate among several that the verdict is on: its symbol has a ring."""


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
    """Every model, the one that the verdict is on first, then the other candidates, then arms."""
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
        if name != "student" and name in titles
    ]
    return models

"""The card as a whole, and what of it fits into the description of a version."""

from collections.abc import Sequence

from components.registration.card import (
    diagnosis,
    figures,
    limits,
    making,
    purpose,
    serving,
    weak_spots,
)
from components.registration.card.section import Section, paragraphs
from components.registration.submission import Submission
from components.shared.markdown import clip, code, escape

MODEL_CARD = "model-card.md"
DESCRIPTION_LENGTH = 5000
"""Characters of a version's description, by the column of MLflow's database."""
_LONGEST_TITLE = 100
_LONGEST_OPENING = 2500


def model_card(submission: Submission) -> str:
    """The whole model card, as Markdown; always the same for the same submission.

    Its sections follow Mitchell et al., Model Cards for Model Reporting, arXiv 1810.03993.
    """
    sections = [section.markdown for section in _sections(submission)]
    return paragraphs(_title(submission), purpose.opening(submission), *sections) + "\n"


def version_description(submission: Submission) -> str:
    """As much of the card as MLflow takes: the most important sections, each of them whole."""
    sections = _sections(submission)
    opening = clip(purpose.opening(submission), _LONGEST_OPENING)
    kept: list[Section] = []
    for section in sorted(sections, key=lambda one: one.rank):
        if len(_description(opening, sections, [*kept, section])) <= DESCRIPTION_LENGTH:
            kept.append(section)
    return _description(opening, sections, kept)


def _description(opening: str, sections: Sequence[Section], kept: Sequence[Section]) -> str:
    """The sections that are kept, in the order of the card, and what else the card has."""
    left_out = [section.title for section in sections if section not in kept]
    told = [section.markdown for section in sections if section in kept]
    rest = f", with {', '.join(left_out)}" if left_out else ""
    return paragraphs(opening, *told, f"The whole card is {code(MODEL_CARD)} of the run{rest}.")


def _title(submission: Submission) -> str:
    return f"# Model card: {escape(clip(submission.registry.model, _LONGEST_TITLE))}"


def _sections(submission: Submission) -> list[Section]:
    card = submission.registry.card
    sections = [
        purpose.intended_use(card),
        purpose.out_of_scope(card),
        purpose.how_to_use(submission),
        figures.figures(submission),
        figures.benefit(submission),
        diagnosis.diagnosis(submission),
        limits.limits(submission, card),
        limits.gates(submission),
        weak_spots.weak_spots(submission),
        figures.further_figures(submission),
        serving.calibration(submission),
        serving.speed(submission),
        making.data(submission),
        making.distillation(submission),
        making.provenance(submission),
        purpose.contact(card),
    ]
    return [section for section in sections if section is not None]

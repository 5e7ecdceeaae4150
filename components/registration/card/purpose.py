"""The card's opening: what the model is, what it is for, and what not."""

from components.registration.card.section import Section, listed, paragraphs
from components.registration.submission import Submission
from components.shared.deployable import DEPLOYABLE
from components.shared.formatting import integer, size
from components.shared.markdown import clip, code, escape
from components.shared.recipe.card import CardSpec
from components.shared.recipe.inputs import InputSpec
from components.shared.teacher import TeacherRecord

_LONGEST = 200


def opening(submission: Submission) -> str:
    """What the model is, and how it was judged, in two paragraphs."""
    decision = submission.decision
    measured = submission.evaluation.measured(decision.candidate)
    student = submission.bundles["student"]
    what = (
        f"A student network ({student.model.family}, {integer(measured.parameters)} parameters, "
        f"{size(measured.size_bytes)} as an ONNX file) in the form {code(decision.candidate)}, "
        f"distilled from {_teacher(submission)}. It sorts "
        f"{rows_in_words(submission)} into {len(submission.evaluation.classes):,} classes, and "
        "gives a probability for each."
    )
    passed = decision.verdict == "promote"
    verdict = "It passed its gates" if passed else "**It was rejected by its gates**"
    return paragraphs(what, f"{verdict}: {escape(decision.summary)}")


def _teacher(submission: Submission) -> str:
    """The teacher in a few words, and its size where that is known."""
    teacher = submission.teacher
    if isinstance(teacher, TeacherRecord):
        return escape(clip(teacher.in_words, _LONGEST))
    return f"a teacher with {integer(teacher.parameters)} parameters"


def rows_in_words(submission: Submission) -> str:
    """What the model takes."""
    taken = submission.deployable.input
    if taken.kind == "image":
        channels, height, width = taken.size
        colour = {1: "grey ", 3: "colour "}.get(channels, f"{channels}-channel ")
        return f"{colour}images of {height} by {width} pixels"
    if taken.kind == "text":
        return f"texts, of which it sees the first {taken.length:,} tokens,"
    numeric = "numeric " if all(part.kind == "numeric" for part in taken.parts) else ""
    columns = "column" if len(taken.names) == 1 else "columns"
    return f"rows of {len(taken.names):,} {numeric}{columns} ({listed(taken.names, 4, 20)})"


def intended_use(card: CardSpec) -> Section:
    """In the words of the recipe; where it has none, that it has none."""
    said = card.intended_use or (
        "Nobody has written down what this model is for. It was made from the data below, and can "
        "be relied on, at most, for rows that come about in the same way."
    )
    return Section("Intended use", _words(said, card.intended_use), 3)


def out_of_scope(card: CardSpec) -> Section:
    """What it is not for."""
    always = (
        "It names one of its classes for every row, also for one that belongs to none of them, and "
        "nothing but the data below was measured."
    )
    said = card.out_of_scope or "Nobody has written down what this model must not be used for."
    return Section("Out of scope", paragraphs(_words(said, card.out_of_scope), always), 6)


def contact(card: CardSpec) -> Section | None:
    """Whom to ask, where the recipe says so."""
    return Section("Contact", escape(card.contact), 9) if card.contact else None


def how_to_use(submission: Submission) -> Section:
    """How to load it, and what to give it."""
    registry, deployable = submission.registry, submission.deployable
    shape = ", ".join(str(length) for length in ("rows", *deployable.input.shape))
    snippet = (
        "```python\n"
        f'model = mlflow.pyfunc.load_model("models:/{registry.model}@{registry.alias}")\n'
        'model.predict(rows)["probabilities"]\n'
        "```"
    )
    what = (
        f"Rows are float32 of shape ({shape}), {_raw(deployable.input)}: preprocessing is part of "
        "the model. Probabilities are in the order of the classes below."
    )
    return Section("How to use it", paragraphs(snippet, what), 14)


def _raw(taken: InputSpec) -> str:
    """What the values of a row are."""
    if taken.kind == "text":
        return f"the ids of tokens, with 0 for padding ({code(DEPLOYABLE)} names the tokenizer)"
    if taken.kind == "tabular" and not taken.plain:
        return (
            "as they are in the data, with NaN where a value is missing, and the position of a "
            f"category in its list ({code(DEPLOYABLE)} has the lists)"
        )
    return "as they are in the data"


def _words(text: str, given: str | None) -> str:
    return escape(text) if given else text

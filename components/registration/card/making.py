"""The card's account of how the model was made: data, distillation, and where all of it is kept."""

from components.registration.card.section import Section, listed, paragraphs
from components.registration.submission import Submission
from components.shared.bundle import Candidate, ModelBundle
from components.shared.formatting import counted, integer, percent
from components.shared.lineage import Stage
from components.shared.markdown import clip, code, escape, facts
from components.shared.recipe import TrainedTeacher
from components.shared.recipe.objectives import described, shown
from components.shared.teacher import TeacherRecord

_MOST_CLASSES = 12
_LONGEST_URI = 200
_LONGEST_HOW = 300


def data(submission: Submission) -> Section:
    """Where the rows come from, how many there are, and what they are sorted into."""
    manifest = submission.data
    split = (
        f"by the column {escape(clip(manifest.split_column, 40))}"
        if manifest.split_seed is None
        else f"at random, seed {manifest.split_seed}"
    )
    items = [
        ("Source", escape(clip(manifest.source, _LONGEST_URI))),
        ("SHA-256 of the data set", code(manifest.digest)),
        ("Labelled rows, to train on", integer(manifest.rows["labelled"])),
        ("Unlabelled rows, labelled by the teacher", integer(manifest.rows["unlabelled"])),
        ("Test rows, for nothing but the figures in here", integer(manifest.rows["test"])),
        ("Split", split),
        (f"Classes ({len(manifest.classes):,})", listed(manifest.classes, _MOST_CLASSES)),
    ]
    return Section("Data", facts(items), 7)


def distillation(submission: Submission) -> Section:
    """What the student learned from, how that was chosen, and what was done to it afterwards."""
    return Section(
        "How it was distilled",
        paragraphs(
            " ".join([_teacher(submission), *_chain(submission), _student(submission)]),
            _choice(submission.bundles["student"]),
            _size(submission.bundles["student"]),
            _form(submission),
        ),
        11,
    )


def provenance(submission: Submission) -> Section:
    """Identities of the run and of all that went into it."""
    student = submission.bundles["student"]
    soft_labels = student.soft_labels_digest
    items = [
        ("Pipeline run", code(submission.run_id)),
        ("Recipe", f"{code(submission.recipe.name)} ({code('recipe.yaml')} of the MLflow run)"),
        ("Git commit", code(submission.git_commit) if submission.git_commit else "not known"),
        ("Seed", str(student.seed)),
        ("Measured against champion", submission.decision.champion_version or "none"),
        ("SHA-256 of the ONNX file", code(submission.decision.student_digest)),
        ("SHA-256 of the student's bundle", code(student.digest)),
        (f"SHA-256 of the teacher's {_artifact(submission)}", code(submission.teacher.digest)),
        *(
            (f"SHA-256 of assistant {number}'s bundle", code(stage.digest))
            for number, stage in enumerate(submission.assistants, 1)
        ),
        ("SHA-256 of the soft labels", code(soft_labels) if soft_labels else "none"),
        ("SHA-256 of the decision", code(submission.decision_digest)),
        ("SHA-256 of the evaluation", code(submission.evaluation_digest)),
    ]
    return Section("Provenance", facts(items), 10)


def _artifact(submission: Submission) -> str:
    return "bundle" if isinstance(submission.teacher, ModelBundle) else "description"


def _teacher(submission: Submission) -> str:
    teacher = submission.teacher
    if isinstance(teacher, TeacherRecord):
        described = escape(clip(teacher.in_words, _LONGEST_HOW))
        return f"The teacher is {described}; this run did not train it."
    trained = isinstance(submission.recipe.teacher, TrainedTeacher)
    origin = "was trained in this run on the labelled rows" if trained else "is from an earlier run"
    return (
        f"The teacher ({teacher.model.family}, {integer(teacher.parameters)} parameters) {origin}."
    )


def _chain(submission: Submission) -> list[str]:
    """A sentence for each assistant: what it is, and how it learned from the one before."""
    return [
        f"Assistant {number} ({stage.model.family}, {integer(stage.parameters)} parameters) "
        f"learned from {f'assistant {number - 1}' if number > 1 else 'the teacher'}, for "
        f"{integer(stage.steps)} steps, by {escape(stage.method)}{_agreed(stage)}."
        for number, stage in enumerate(submission.assistants, 1)
    ]


def _agreed(stage: Stage) -> str:
    if stage.agreement is None:
        return ""
    return f", and agreed with it on {percent(stage.agreement)} of the held-out training rows"


def _student(submission: Submission) -> str:
    student, assistants = submission.bundles["student"], len(submission.assistants)
    whose = f"assistant {assistants}'s" if assistants else "its"
    learned = f"The student learned from {whose} probabilities, on labelled and unlabelled rows"
    if student.selection is None:
        return f"{learned}."
    chosen = student.selection.choice
    objective = f" Its objective was {escape(described(chosen.method))}." if chosen.method else ""
    return f"{learned}, {_length(chosen)}.{objective}"


def _length(chosen: Candidate) -> str:
    told = [f"for {integer(chosen.steps)} steps"]
    if chosen.temperature is not None:
        told.append(f"at temperature {shown(chosen.temperature)}")
    if chosen.weight is not None:
        told.append(f"with a weight of {chosen.weight:g} on the teacher (the rest on the labels)")
    return ", ".join(told)


def _size(student: ModelBundle) -> str:
    size = student.selection and student.selection.size
    if not size:
        return ""
    trials = counted(len(size.tried), "trial")
    enough = f"agrees with the labels that it learns from on {percent(size.needed)} of other rows"
    if any(one.enough for one in size.tried):
        return (
            f"Its size is the smallest of {size.sizes} that {enough}, as far as {trials} on "
            "held-out training rows told. The test rows had no part in it."
        )
    return (
        f"Its size is a large one of {size.sizes}, since in {trials} on held-out training rows no "
        f"smaller one was shown to be one that {enough}. The test rows had no part in it."
    )


def _choice(student: ModelBundle) -> str:
    selection = student.selection
    if selection is None or len(selection.candidates) == 1:
        return ""
    return (
        f"That was chosen among {len(selection.candidates):,} candidates by "
        f"{escape(clip(selection.judge, _LONGEST_HOW))}. The test rows had no part in it."
    )


def _form(submission: Submission) -> str:
    chosen = submission.evaluation.candidate(submission.decision.candidate)
    if chosen is None:
        return ""
    others = len(submission.evaluation.candidates) - 1
    among = f", one of {others + 1:,} forms that were measured" if others else ""
    difference = submission.deployable.max_difference
    return (
        f"Its form is {code(chosen.name)}{among}: {escape(clip(chosen.how, _LONGEST_HOW))}. "
        f"No probability of the ONNX file differed by more than {difference:.2g} from the network "
        f"that it was exported from, over {integer(submission.deployable.checked_rows)} rows."
    )

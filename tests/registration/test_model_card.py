"""What the model card tells, what it admits not to know, and that its short form fits MLflow."""

import re
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from pipeline_run_files import CANDIDATE, RECIPE, REGISTRY, write_pipeline_run

from components.registration import figures
from components.registration.card import DESCRIPTION_LENGTH, model_card, version_description
from components.registration.card.limits import limits
from components.registration.card.purpose import contact, intended_use, out_of_scope
from components.registration.submission import Submission, read_submission
from components.shared.bundle import SizeSearch, TriedSize
from components.shared.recipe.card import CardSpec
from components.shared.results import (
    ArmResult,
    CalibrationBin,
    ClassResult,
    Estimate,
    Evaluation,
    PairedCounts,
    SliceResult,
)
from components.shared.results.diagnosis import Diagnosis, Finding


@pytest.fixture(scope="module")
def submission(tmp_path_factory: pytest.TempPathFactory) -> Submission:
    folder = tmp_path_factory.mktemp("runs")
    first = write_pipeline_run(folder / "first", "first")
    run = write_pipeline_run(folder / "second", "second", champion="4", seed=1, beside=first)
    return read_submission(run.inputs, run.run_id, "0123abc")


def measured(submission: Submission, change: Callable[[ArmResult], ArmResult]) -> Submission:
    """With other figures of the version."""
    (candidate,) = submission.evaluation.candidates
    changed = candidate.model_copy(update={"measured": change(candidate.measured)})
    return evaluated(submission, candidates=[changed])


def evaluated(submission: Submission, **fields: object) -> Submission:
    evaluation = submission.evaluation.model_copy(update=fields)
    return replace(submission, evaluation=evaluation)


def section(card: str, title: str) -> str:
    """What stands under a heading."""
    found = re.search(rf"^## {re.escape(title)}\n\n(.*?)(?=^## |\Z)", card, re.M | re.S)
    assert found, f"no section {title!r}"
    return plain(found[1])


def plain(text: str) -> str:
    return text.replace("\u00a0", " ")


def rows(text: str) -> list[list[str]]:
    """The cells of the tables in a section."""
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


@pytest.mark.parametrize(
    ("enough", "words"),
    [
        (
            True,
            "Its size is the smallest of 3 that agrees with the labels that it learns from on 95.0 "
            "% of other rows, as far as 1 trial on held-out training rows told.",
        ),
        (
            False,
            "Its size is a large one of 3, since in 1 trial on held-out training rows no smaller "
            "one was shown to be one that agrees with the labels that it learns from on 95.0 %",
        ),
    ],
)
def test_card_says_how_the_size_was_found(submission, enough, words):
    student = submission.bundles["student"]
    tried = TriedSize(
        model=student.model, parameters=19, agreement=0.97, standard_error=0.01, enough=enough
    )
    size = SizeSearch(needed=0.95, held_out=150, sizes=3, tried=[tried])
    selection = student.selection.model_copy(update={"size": size})
    found = student.model_copy(update={"selection": selection})
    changed = replace(submission, bundles={**submission.bundles, "student": found})
    assert words in section(model_card(changed), "How it was distilled")
    assert "Its size" not in model_card(submission)


def test_card_says_what_the_model_is_and_what_it_was_made_from(submission):
    card = model_card(submission)

    assert card.startswith("# Model card: tiny-student\n\nA student network (mlp, 19 parameters")
    data = section(card, "Data")
    assert f"`{submission.data.digest}`" in data
    assert "**Labelled rows, to train on:** 1" in data
    assert "**Unlabelled rows, labelled by the teacher:** 2" in data
    assert "**Classes (3):** a, b, c" in data
    made = section(card, "How it was distilled")
    assert "for 10 steps, at temperature 1, with a weight of 1 on the teacher" in made
    assert "Its objective was KD (divergence of soft labels)." in made
    assert "chosen among 2 candidates by agreement" in made
    assert f"`{CANDIDATE}`: int8" in made


def test_figures_of_all_models_stand_beside_each_other_with_intervals(submission):
    table = rows(section(model_card(submission), "Figures"))

    assert [row[:2] for row in table[2:]] == [
        ["**this version**", "93.0 % (91.0 to 95.0 %)"],
        ["the student in float32", "94.0 % (92.0 to 96.0 %)"],
        ["teacher", "95.0 % (93.0 to 97.0 %)"],
        ["hard labels: the same network, from the labels alone", "90.0 % (88.0 to 92.0 %)"],
        [
            "pseudo-labels: the same network, from the teacher's plain predictions",
            "93.0 % (91.0 to 95.0 %)",
        ],
        ["champion, version 4", "88.0 % (86.0 to 90.0 %)"],
    ]
    assert table[2][2:] == ["20.0 µs (10.0 µs to 30.0 µs)", "400 B"]


def test_card_names_every_assistant_between_teacher_and_student(submission):
    stage = submission.bundles["student"].as_stage()
    first = stage.model_copy(update={"digest": "c" * 64, "agreement": 0.93})
    second = stage.model_copy(update={"digest": "d" * 64, "agreement": None})
    student = submission.bundles["student"].model_copy(update={"assistants": [first, second]})
    chained = replace(submission, bundles={**submission.bundles, "student": student})
    card = model_card(chained)

    made = section(card, "How it was distilled")
    assert "Assistant 1 (mlp, 19 parameters) learned from the teacher, for 10 steps, by KD" in made
    assert "agreed with it on 93.0 % of the held-out training rows." in made
    assert "Assistant 2 (mlp, 19 parameters) learned from assistant 1" in made
    assert "The student learned from assistant 2's probabilities" in made
    assert f"**SHA-256 of assistant 2's bundle:** `{second.digest}`" in section(card, "Provenance")
    assert figures.chain(chained.assistants) == {
        "assistant.1.digest": first.digest,
        "assistant.1.parameters": "19",
        "assistant.1.steps": "10",
        "assistant.1.method": "KD (divergence of soft labels)",
        "assistant.1.agreement": "0.93",
        "assistant.2.digest": second.digest,
        "assistant.2.parameters": "19",
        "assistant.2.steps": "10",
        "assistant.2.method": "KD (divergence of soft labels)",
    }


def test_provenance_names_run_commit_and_every_digest(submission):
    provenance = section(model_card(submission), "Provenance")

    for value in (
        "second",
        "0123abc",
        submission.decision.student_digest,
        submission.bundles["teacher"].digest,
        submission.decision_digest,
        submission.evaluation_digest,
    ):
        assert f"`{value}`" in provenance
    assert "**Measured against champion:** 4" in provenance
    unknown = section(model_card(replace(submission, git_commit="")), "Provenance")
    assert "**Git commit:** not known" in unknown


@pytest.mark.parametrize(
    ("teacher", "student", "hard", "expected"),
    [
        (0.95, 0.94, 0.90, "80 % of the gap is recovered"),
        (0.95, 0.89, 0.90, "none of the gap is recovered"),
        (0.95, 0.96, 0.90, "all of the gap is recovered"),
        (0.90, 0.94, 0.92, "so that there was no gap to close"),
    ],
)
def test_whether_distillation_helped_is_told_as_it_was_measured(
    submission, teacher, student, hard, expected
):
    values = {"teacher": teacher, "student": student, "hard_label": hard}
    arms = {
        name: with_accuracy(arm, values.get(name, arm.accuracy))
        for name, arm in submission.evaluation.arms.items()
    }

    told = section(model_card(evaluated(submission, arms=arms)), "Did distillation help?")

    assert expected in told


@pytest.mark.parametrize(
    ("only_student", "only_other", "expected"),
    [
        (30, 10, "10.0 points ahead of the hard-label arm: it alone is right on 30 rows"),
        (10, 30, "10.0 points behind the hard-label arm"),
        (7, 7, "level with the hard-label arm"),
    ],
)
def test_rows_on_which_only_one_is_right_are_counted(
    submission, only_student, only_other, expected
):
    both = 200 - only_student - only_other
    counts = PairedCounts(both=both, only_student=only_student, only_other=only_other, neither=0)

    changed = evaluated(submission, paired={"hard_label": counts})

    assert expected in section(model_card(changed), "Did distillation help?")


def test_problems_and_hints_of_the_diagnosis_are_told(submission):
    assert "Why distillation" not in model_card(submission)
    kinds = ("clear", "hint", "problem", "not_measured")
    findings = [
        Finding(
            topic="pool_size",
            title=f"Is it {kind}?",
            severity=kind,
            statement=f"Found <{kind}>.",
            figures=[],
            rule="A rule.",
            source="A source",
            advice="",
        )
        for kind in kinds
    ]
    diagnosis = Diagnosis(confidence=0.95, level=0.99, findings=findings)
    told = section(
        model_card(evaluated(submission, diagnosis=diagnosis)),
        "Why distillation did or did not help",
    )
    assert told.splitlines()[:2] == [
        "- Is it problem? **Problem:** Found &#60;problem&#62;.",
        "- Is it hint? **Hint:** Found &#60;hint&#62;.",
    ]
    assert "clear" not in told
    nothing = Diagnosis(confidence=0.95, level=0.99, findings=findings[:1])
    assert "Why distillation" not in model_card(evaluated(submission, diagnosis=nothing))


def with_accuracy(arm: ArmResult, value: float) -> ArmResult:
    accuracy = arm.metrics["accuracy"].model_copy(update={"value": value})
    return arm.model_copy(update={"metrics": arm.metrics | {"accuracy": accuracy}})


def test_what_the_recipe_says_comes_in_its_own_words_and_is_not_read_as_markdown():
    said = CardSpec(
        intended_use="Sort *mail* | by postcode",
        out_of_scope="Cheques",
        contact="Post <post@example.org>",
    )

    assert intended_use(said).text == "Sort \\*mail\\* &#124; by postcode"
    assert out_of_scope(said).text.startswith("Cheques\n\n")
    assert "nothing but the data below was measured" in out_of_scope(said).text
    assert contact(said).text == "Post &#60;post&#64;example.org&#62;"


def test_card_of_the_recipe_is_used(tmp_path):
    recipe = {**RECIPE, "registry": {**REGISTRY, "card": {"intended_use": "Sort mail."}}}
    run = write_pipeline_run(tmp_path / "run", "run-1", recipe=recipe)

    card = model_card(read_submission(run.inputs, run.run_id))

    assert section(card, "Intended use").strip() == "Sort mail."


def test_what_nobody_said_is_called_unknown(submission):
    card = model_card(submission)

    assert section(card, "Intended use").startswith("Nobody has written down what")
    assert section(card, "Out of scope").startswith("Nobody has written down what")
    assert "## Contact" not in card


def test_limits_follow_from_what_was_measured(submission):
    told = plain(limits(submission, CardSpec(limits="Blurred images")).text)

    assert told.startswith("- Blurred images\n")
    assert "With 3 test rows, its accuracy is only known to within 2.0 points" in told
    assert "fewer than 30 test rows, whose figures say little: a." in told
    assert "no slices were asked for" in told


def test_warnings_of_the_decision_are_limits(submission):
    decision = submission.decision.model_copy(update={"warnings": ["The machine was | noisy."]})

    told = limits(replace(submission, decision=decision), CardSpec()).text

    assert "- The machine was &#124; noisy." in told


def test_weak_spots_are_the_worst_classes_mistakes_and_slices(submission):
    def worse(arm: ArmResult) -> ArmResult:
        return arm.model_copy(
            update={
                "per_class": [
                    ClassResult(name=name, rows=40, precision=0.9, recall=recall, f1=0.9)
                    for name, recall in (("a", 0.9), ("b", 0.5), ("c", 1.0))
                ],
                "confusion": [[36, 4, 0], [5, 20, 15], [0, 0, 40]],
                "slices": [
                    a_slice("site", "north", 50, 0.9),
                    a_slice("site", "so|uth", 60, 0.7),
                    a_slice("site", "west", 3, 0.1),
                ],
            }
        )

    told = section(model_card(measured(submission, worse)), "Weak spots")

    table = rows(told)
    assert [row[0] for row in table[2:5]] == ["b", "a", "c"]
    assert table[2] == ["b", "50.0 %", "90.0 %", "40"]
    assert "b taken for c (15 of 40 rows); b taken for a (5 of 40 rows)" in told
    assert [row[0] for row in table[7:]] == ["site = so&#124;uth", "site = north"]
    assert "1 of 3 slices have fewer than 30 test rows" in told


def a_slice(column: str, value: str, count: int, accuracy: float) -> SliceResult:
    estimate = Estimate(
        value=accuracy, centre=accuracy, standard_error=0.01, lower=accuracy, upper=accuracy
    )
    return SliceResult(column=column, value=value, rows=count, metrics={"accuracy": estimate})


@pytest.mark.parametrize(
    ("confidence", "expected"),
    [
        (0.95, "over-confident: its probability for the class that it names is 5.0 points above"),
        (0.85, "under-confident: its probability for the class that it names is 5.0 points below"),
        (0.9, "right as often as it claims"),
    ],
)
def test_calibration_is_told_in_words(submission, confidence, expected):
    bins = [CalibrationBin(rows=100, confidence=confidence, accuracy=0.9)]

    card = model_card(measured(submission, lambda a: a.model_copy(update={"calibration": bins})))

    assert expected in section(card, "Calibration")


def test_noisy_machine_is_told_with_the_latencies(submission):
    noise = submission.evaluation.noise.model_copy(update={"drift": 0.5})

    told = section(model_card(evaluated(submission, noise=noise)), "Latency")

    assert "It was busy with other work" in told
    assert "the machine that ran the evaluation" in told


def test_rejected_student_is_called_rejected(submission):
    decision = submission.decision.model_copy(update={"verdict": "reject"})

    assert "**It was rejected by its gates**" in model_card(replace(submission, decision=decision))


def test_card_is_the_same_at_every_attempt(submission):
    assert model_card(submission) == model_card(submission)
    assert version_description(submission) == version_description(submission)


def test_description_leaves_out_whole_sections_and_says_which(submission):
    slices = [a_slice("column", f"value {n}", 50, 0.5) for n in range(50)]
    many = [f"class with a long name {n}" for n in range(200)]

    def large(arm: ArmResult) -> ArmResult:
        return arm.model_copy(
            update={
                "slices": slices,
                "per_class": [
                    ClassResult(name=name, rows=5, precision=0.1, recall=0.1, f1=0.1)
                    for name in many
                ],
            }
        )

    changed = measured(submission, large)
    card, description = model_card(changed), version_description(changed)

    assert len(card) > DESCRIPTION_LENGTH >= len(description)
    headings = re.findall(r"^## (.*)$", description, re.M)
    assert {"Figures", "Limits", "Intended use"} <= set(headings)
    left_out = re.search(r"`model-card.md` of the run, with (.*)\.$", description)[1].split(", ")
    assert set(headings) | set(left_out) == set(re.findall(r"^## (.*)$", card, re.M))
    for heading in headings:
        assert section(card, heading).strip() in plain(description)


@settings(max_examples=40)
@given(
    name=st.text("ab|<*_\u00e9 \n", min_size=1, max_size=3000),
    summary=st.text("ab|<*_&\u00e9 \n", min_size=1, max_size=9000),
)
def test_description_fits_whatever_names_and_texts_are_like(
    submission: Submission, name: str, summary: str
) -> None:
    changed = replace(
        submission,
        decision=submission.decision.model_copy(
            update={"summary": summary, "warnings": [summary, name]}
        ),
        evaluation=renamed(submission.evaluation, name),
        data=submission.data.model_copy(update={"classes": [name] * 40, "source": name}),
    )

    description = version_description(changed)

    assert len(description) <= DESCRIPTION_LENGTH
    assert "`model-card.md` of the run" in description
    assert_tables_are_whole(model_card(changed))


def renamed(evaluation: Evaluation, name: str) -> Evaluation:
    (candidate,) = evaluation.candidates
    classes = [ClassResult(name=name, rows=1, precision=None, recall=0.5, f1=None)] * 9
    slices = [a_slice(name, name, 40, 0.5)]
    changed = candidate.measured.model_copy(update={"per_class": classes, "slices": slices})
    return evaluation.model_copy(
        update={
            "classes": [name] * 3,
            "candidates": [candidate.model_copy(update={"measured": changed, "how": name})],
        }
    )


def assert_tables_are_whole(card: str) -> None:
    """Every row has as many cells as the header, and no table ends early."""
    tokens = MarkdownIt("commonmark").enable("table").parse(card)
    texts = [token.content for token in tokens if token.type == "inline"]
    tables = sum(token.type == "table_open" for token in tokens)
    assert tables == len(re.findall(r"^\| :?-", card, re.M))
    assert not any(text.startswith("|") for text in texts)
    widths = [len(re.findall(r"(?<!\\)\|", line)) for line in card.splitlines() if line[:1] == "|"]
    assert set(widths) <= {4, 5, 7}

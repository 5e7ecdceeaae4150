"""Two models on fresh rows, from their ONNX files to a recommendation."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from components.evaluation import steps
from components.evaluation.bounds import difference_lower_bound
from components.shared.errors import UserError
from components.shared.registered import RegisteredModel
from components.shared.results import CHAMPION_RECORD, FRESH_ROWS, ChampionRecord, Comparison
from tests.evaluation.comparing.conftest import (
    FAST,
    WEIGHTS,
    Collect,
    Compare,
    MakeRegistered,
    fresh_inputs,
)

NOISY, GOOD = 0.9, 0.02


@pytest.fixture
def champion(make_registered: MakeRegistered) -> RegisteredModel:
    return make_registered("champion", "2", NOISY)


def test_better_challenger_is_supported_by_labels(
    make_registered: MakeRegistered, champion: RegisteredModel, compare: Compare
) -> None:
    found = compare(champion, make_registered("challenger", "3", GOOD))
    assert (found.recommendation, found.judged_by) == ("supports", "labels")
    assert found.labelled is not None
    assert found.labelled.lower == difference_lower_bound(found.labelled.counts, 0.95)
    assert found.labelled.counts.rows == found.rows.labelled == 300
    assert found.challenger.metrics["accuracy"].value > found.champion.metrics["accuracy"].value
    assert "+" in found.summary
    assert "a larger one is ruled out" in found.summary


def test_worse_challenger_is_spoken_against_by_labels(
    make_registered: MakeRegistered, compare: Compare
) -> None:
    good = make_registered("champion", "2", GOOD)
    found = compare(good, make_registered("challenger", "3", NOISY))
    assert (found.recommendation, found.judged_by) == ("against", "labels")
    assert found.labelled is not None
    assert found.labelled.upper < -found.margin


def test_without_labels_agreement_judges_and_bounds_the_loss(
    make_registered: MakeRegistered, compare: Compare
) -> None:
    old, new = make_registered("champion", "2", GOOD), make_registered("challenger", "3", 0.03)
    found = compare(old, new, labelled=0)
    assert (found.recommendation, found.judged_by) == ("supports", "agreement")
    assert found.labelled is None
    assert found.challenger.metrics == {}
    most = 100 * (1 - found.agreement.lower)
    assert f"at most {most:.1f} points below the champion's" in found.summary


def test_agreement_is_what_the_models_predict(
    make_registered: MakeRegistered, champion: RegisteredModel, compare: Compare
) -> None:
    found = compare(champion, make_registered("challenger", "3", GOOD), labelled=0)
    inputs, _ = fresh_inputs(600)
    noise = np.random.default_rng(1).normal(size=WEIGHTS.shape)
    ours, theirs = (
        (inputs @ (WEIGHTS + scale * noise).astype(np.float32)).argmax(axis=1)
        for scale in (GOOD, NOISY)
    )
    assert found.agreement.estimate.value == pytest.approx((ours == theirs).mean())
    assert np.trace(found.confusion) == (ours == theirs).sum()
    assert [shift.challenger for shift in found.shifts] == np.bincount(ours).tolist()
    assert [shift.champion for shift in found.shifts] == np.bincount(theirs).tolist()


def test_few_rows_are_inconclusive_and_say_so(
    make_registered: MakeRegistered, champion: RegisteredModel, compare: Compare
) -> None:
    found = compare(champion, make_registered("challenger", "3", GOOD), rows=20, labelled=5)
    assert found.recommendation == "inconclusive"
    assert found.summary == "Only 20 rows are fresh, and 100 are needed to judge."
    assert any("Only 5 fresh rows have a label" in warning for warning in found.warnings)


def test_inconclusive_labels_say_how_many_are_needed(
    make_registered: MakeRegistered, champion: RegisteredModel, compare: Compare
) -> None:
    found = compare(champion, make_registered("challenger", "3", 0.85), labelled=120)
    assert (found.recommendation, found.judged_by) == ("inconclusive", "labels")
    assert "can be neither shown nor ruled out" in found.summary
    assert any("labelled rows are needed" in warning for warning in found.warnings)


def test_one_row_is_enough_to_be_shown(
    make_registered: MakeRegistered, champion: RegisteredModel, compare: Compare
) -> None:
    found = compare(champion, make_registered("challenger", "3", GOOD), rows=1, labelled=1)
    assert (found.rows.rows, found.kl_divergence) == (1, None)
    assert found.summary.startswith("Only 1 row is fresh")


def test_same_file_is_said_to_be_the_same(
    make_registered: MakeRegistered, champion: RegisteredModel, compare: Compare
) -> None:
    found = compare(champion, make_registered("challenger", "3", NOISY), labelled=0)
    assert found.warnings[0] == "Both versions are the very same file."
    assert (found.total_variation, found.disagreements, found.most_different) == (0.0, [], [])


def test_rows_that_could_not_be_checked_are_warned_about(
    make_registered: MakeRegistered, champion: RegisteredModel, compare: Compare
) -> None:
    """The records of these versions have no recipe, so their data set is not known."""
    found = compare(champion, make_registered("challenger", "3", GOOD))
    warning = "Rows that the {} was trained or tested on could not be left out, since its recipe"
    for role in ("champion", "challenger"):
        assert any(one.startswith(warning.format(role)) for one in found.warnings)


def test_champion_itself_is_no_challenger(champion: RegisteredModel, compare: Compare) -> None:
    with pytest.raises(UserError, match="version 2 of 'insect-student' is the champion itself"):
        compare(champion, champion)


def test_models_of_other_columns_or_classes_are_refused(
    make_registered: MakeRegistered, compare: Compare
) -> None:
    challenger = make_registered("challenger", "3", GOOD)
    for difference, message in (
        ({"columns": ["a", "b", "d", "c"]}, "takes the columns a, b, d, c, in this order, not the"),
        ({"classes": ["bee", "ant", "cat"]}, "its classes are bee, ant, cat; the data set's are"),
    ):
        version = f"2-{next(iter(difference))}"
        other = make_registered("champion", version, GOOD, **difference)
        with pytest.raises(UserError, match=f"the champion .*cannot be compared.*{message}"):
            compare(other, challenger)


def test_model_that_gives_no_probabilities_is_refused_by_role_and_row(
    make_registered: MakeRegistered, champion: RegisteredModel, compare: Compare
) -> None:
    broken = make_registered("challenger", "3", GOOD, softmax=False)
    with pytest.raises(UserError, match="the challenger gives no .* for fresh row 'fresh-0'"):
        compare(champion, broken)


def test_data_set_that_is_not_of_fresh_rows_is_refused(
    make_registered: MakeRegistered, champion: RegisteredModel, compare: Compare, tmp_path: Path
) -> None:
    challenger = make_registered("challenger", "3", GOOD)
    compare(champion, challenger, rows=120, labelled=0)
    (tmp_path / "fresh" / FRESH_ROWS).unlink()
    with pytest.raises(SystemExit) as stopped:
        steps.compare_challenger(**_arguments(tmp_path, champion, challenger))
    assert stopped.value.code == 2
    assert not (tmp_path / "out").exists()


def test_step_writes_comparison_page_and_word_and_gives_finite_figures(
    make_registered: MakeRegistered, champion: RegisteredModel, compare: Compare, tmp_path: Path
) -> None:
    challenger = make_registered("challenger", "3", GOOD)
    compare(champion, challenger)
    figures = steps.compare_challenger(**_arguments(tmp_path, champion, challenger))
    written = Comparison.model_validate_json((tmp_path / "out" / "comparison").read_text())
    assert (tmp_path / "out" / "recommendation").read_text() == written.recommendation
    assert written.summary in (tmp_path / "out" / "page").read_text()
    assert figures["agreement"] == written.agreement.estimate.value
    assert figures["labelled_rows"] == 300
    assert np.isfinite(list(figures.values())).all()


def test_step_refuses_a_policy_that_is_out_of_range(
    make_registered: MakeRegistered,
    champion: RegisteredModel,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    arguments = _arguments(tmp_path, champion, make_registered("challenger", "3", GOOD))
    with pytest.raises(SystemExit):
        steps.compare_challenger(**arguments | {"policy": {"margin": -0.1}})
    last = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert "policy.margin: input should be greater than or equal to 0, not -0.1" in last["message"]


def test_step_without_a_champion_ends_with_status_2(
    make_registered: MakeRegistered,
    champion: RegisteredModel,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    arguments = _arguments(tmp_path, champion, make_registered("challenger", "3", GOOD))
    nobody = ChampionRecord(state="first_model", version=None)
    (champion.folder / CHAMPION_RECORD).write_text(nobody.model_dump_json())
    with pytest.raises(SystemExit):
        steps.compare_challenger(**arguments)
    assert "there is no champion" in capsys.readouterr().out


def _arguments(
    folder: Path, champion: RegisteredModel, challenger: RegisteredModel
) -> dict[str, Any]:
    return {
        "model": "insect-student",
        "rows": folder / "fresh",
        "champion": champion.folder,
        "challenger": challenger.folder,
        "policy": FAST,
        "comparison": folder / "out" / "comparison",
        "page": folder / "out" / "page",
        "recommendation": folder / "out" / "recommendation",
    }


MEMORY = """
import sys
from pathlib import Path
from components.evaluation.comparing.measure import measure
from components.shared.dataset import Dataset
from components.shared.recipe import LatencySpec
from components.shared.registered import RegisteredModel
from tests.benchmarks.evaluation import peak_of_this_process
champion, challenger, fresh = map(Path, sys.argv[1:])
models = RegisteredModel.read("champion", champion), RegisteredModel.read("challenger", challenger)
measure(Dataset.open(fresh), *models, LatencySpec(budget_s=0.01, attempts=1), 0.95)
print(peak_of_this_process())
"""


def test_memory_does_not_grow_with_rows(
    make_registered: MakeRegistered, champion: RegisteredModel, collect: Collect
) -> None:
    challenger = make_registered("challenger", "3", GOOD)
    peaks = []
    for rows in (200_000, 800_000):
        fresh = collect(champion, challenger, rows, rows // 2)
        done = subprocess.run(
            [sys.executable, "-c", MEMORY, *map(str, (champion.folder, challenger.folder, fresh))],
            capture_output=True,
            check=True,
            text=True,
        )
        peaks.append(int(done.stdout.splitlines()[-1]))
    # Inputs, probabilities and ids of the other 600,000 rows would take 60 MB.
    assert peaks[1] - peaks[0] < 20e6, peaks

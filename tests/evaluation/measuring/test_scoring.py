"""The pass over the test rows: the same whatever the batches and files, in bounded memory."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import log_loss

from components.evaluation.measuring.deployed import DeployedModel, describe
from components.evaluation.measuring.estimates import estimates
from components.evaluation.measuring.scoring import Pass, Scores, score_rows
from components.evaluation.measuring.slices import find_slices
from components.shared.dataset import Dataset
from components.shared.errors import UserError
from tests.benchmarks.evaluation import write_data, write_model

ROWS = 700
SHARDS = (1, 2, 7)


def score_problem(problem: Any, models: dict[str, Path], batch_rows: int | None) -> Scores:
    dataset = Dataset.open(problem.folder)
    opened = {
        name: DeployedModel.open(name, folder, describe(name, folder, dataset.manifest), "cpu", 1)
        for name, folder in models.items()
    }
    wanted = Pass(
        models=opened,
        teacher="teacher",
        may_break=[name for name in models if name.startswith("candidate")],
        slicings=find_slices(dataset),
        pairs=[("student", "teacher")],
    )
    return score_rows(dataset, wanted, batch_rows)


@pytest.fixture(scope="module")
def layouts(
    make_problem: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory
) -> dict[int, Any]:
    """The same rows in one, two and seven files."""
    root = tmp_path_factory.mktemp("layouts")
    return {
        shards: make_problem(root / str(shards), ROWS, slices=["region", "b"], shards=shards)
        for shards in SHARDS
    }


@pytest.fixture(scope="module")
def models(
    layouts: dict[int, Any],
    make_model: Callable[..., Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[int, dict[str, Path]]:
    root = tmp_path_factory.mktemp("models")
    noise = np.random.default_rng(3).normal(size=(4, 3))
    return {
        shards: {
            name: make_model(
                root / str(shards) / name,
                problem.weights + scale * noise,
                dataset_digest=problem.digest,
            )
            for name, scale in (("teacher", 0.0), ("student", 0.7))
        }
        for shards, problem in layouts.items()
    }


def figures(scores: Scores) -> list[dict[str, Any]]:
    """Everything that was measured of the student, the whole first."""
    tallies = [scores.whole["student"], *scores.sliced["student"]]
    groups = [1, *(4 if number == 0 else 5 for number in range(len(tallies) - 1))]
    sums = [
        tally.sums(group)
        for tally, count in zip(tallies, groups, strict=True)
        for group in range(count)
    ]
    return [
        {name: found.model_dump() for name, found in estimates(one, 0.95).items()}
        for one in sums
        if one.rows
    ]


@settings(max_examples=25)
@given(shards=st.sampled_from(SHARDS), batch_rows=st.integers(1, ROWS + 50))
def test_result_does_not_depend_on_batches_or_files(
    layouts: dict[int, Any], models: dict[int, dict[str, Path]], shards: int, batch_rows: int
) -> None:
    expected = score_problem(layouts[1], models[1], None)
    found = score_problem(layouts[shards], models[shards], batch_rows)
    assert found.rows == expected.rows == ROWS
    assert found.pairs["student", "teacher"].counts == expected.pairs["student", "teacher"].counts
    assert (found.sample == expected.sample).all()
    for part, whole in zip(figures(found), figures(expected), strict=True):
        assert part.keys() == whole.keys()
        for name, estimate in whole.items():
            assert part[name] == pytest.approx(estimate, abs=1e-6), name


def test_pass_equals_one_shot_over_all_rows(
    layouts: dict[int, Any], models: dict[int, dict[str, Path]]
) -> None:
    problem = layouts[7]
    noise = np.random.default_rng(3).normal(size=(4, 3))
    logits = problem.inputs @ (problem.weights + 0.7 * noise).astype(np.float32)
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    found = figures(score_problem(problem, models[7], 64))[0]
    right = probabilities.argmax(axis=1) == problem.labels
    assert found["accuracy"]["value"] == pytest.approx(right.mean())
    assert found["log_loss"]["value"] == pytest.approx(
        log_loss(problem.labels, probabilities), abs=1e-5
    )


def test_sample_is_spread_over_the_split(
    make_problem: Callable[..., Any], make_model: Callable[..., Path], tmp_path: Path
) -> None:
    problem = make_problem(tmp_path / "data", test_rows=3500)
    model = make_model(tmp_path / "model", problem.weights, dataset_digest=problem.digest)
    sample = score_problem(problem, {"teacher": model, "student": model}, 128).sample
    assert (sample == problem.inputs[np.arange(1000) * 3500 // 1000]).all()


def test_candidate_that_breaks_late_is_left_out_and_named_with_its_row(
    make_problem: Callable[..., Any], make_model: Callable[..., Path], tmp_path: Path
) -> None:
    """Without a softmax, the first row that is no distribution is the first of all."""
    problem = make_problem(tmp_path / "data", test_rows=300)
    good = make_model(tmp_path / "good", problem.weights, dataset_digest=problem.digest)
    bad = make_model(
        tmp_path / "bad", problem.weights, dataset_digest=problem.digest, softmax=False
    )
    names = {"teacher": good, "student": good, "candidate int8": bad}
    scores = score_problem(problem, names, 50)
    assert scores.broken.keys() == {"candidate int8"}
    assert "no probabilities for test row 'row-0'" in scores.broken["candidate int8"]
    assert scores.whole["student"].sums(0).rows == 300


def test_error_in_a_worker_thread_surfaces_as_it_is(
    make_problem: Callable[..., Any], make_model: Callable[..., Path], tmp_path: Path
) -> None:
    problem = make_problem(tmp_path / "data", test_rows=300)
    bad = make_model(
        tmp_path / "bad", problem.weights, dataset_digest=problem.digest, softmax=False
    )
    with pytest.raises(UserError, match="the teacher gives no probabilities for test row 'row-0'"):
        score_problem(problem, {"teacher": bad, "student": bad}, 50)


MEMORY = """
import sys
from pathlib import Path
from components.evaluation.measuring.scoring import Pass, score_rows
from components.evaluation.measuring.slices import find_slices
from components.shared.dataset import Dataset
from tests.benchmarks.evaluation import opened, peak_of_this_process
folder, rows = Path(sys.argv[1]), int(sys.argv[2])
dataset = Dataset.open(folder / f"data-{rows}")
model = opened(folder / "student", "student", dataset.manifest)
score_rows(dataset, Pass({"student": model}, "student", (), find_slices(dataset), []))
print(peak_of_this_process())
"""


def test_memory_does_not_grow_with_rows(tmp_path: Path) -> None:
    write_model(tmp_path / "student", (8,))
    peaks = []
    for rows in (100_000, 400_000):
        write_data(tmp_path / f"data-{rows}", rows)
        command = [sys.executable, "-c", MEMORY, str(tmp_path), str(rows)]
        done = subprocess.run(command, capture_output=True, check=True, text=True)
        peaks.append(int(done.stdout))
    # The files differ by 38 MB.
    assert peaks[1] - peaks[0] < 20e6, peaks

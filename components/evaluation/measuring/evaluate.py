"""The evaluation: every model on the same test rows, from the ONNX files."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.evaluation.measuring import latency
from components.evaluation.measuring.estimates import estimates
from components.evaluation.measuring.footprint import measure_footprints
from components.evaluation.measuring.lineup import TEACHER, Entry, Lineup, open_lineup
from components.evaluation.measuring.metrics import Sums, calibration_bins, per_class
from components.evaluation.measuring.ranking import roc_points
from components.evaluation.measuring.scoring import Pass, Scores, score_rows
from components.evaluation.measuring.slices import Slicing, find_slices
from components.evaluation.measuring.stored import StoredModel
from components.shared.candidates import REFERENCE, CandidateSet, read_candidates
from components.shared.dataset import Dataset
from components.shared.errors import UserError
from components.shared.recipe.evaluation import EvaluationSpec
from components.shared.records import read_record
from components.shared.results import (
    CHAMPION_RECORD,
    ArmName,
    ArmResult,
    CandidateResult,
    ChampionRecord,
    Estimate,
    Evaluation,
    Footprint,
    Latency,
    MetricName,
    PairedCounts,
    ServedResult,
    SkippedCandidate,
    SliceResult,
)

_ABOUT_THE_TEACHER: tuple[MetricName, ...] = ("agreement", "kl_to_teacher")


def evaluate(
    dataset_folder: Path,
    arms: Mapping[ArmName, Path],
    candidates: Path,
    champion: Path,
    spec: EvaluationSpec,
) -> Evaluation:
    """Measure all arms, all candidates, and the champion where there is one, on the test split.

    Files that are the same are run and timed once. A candidate that is broken is skipped, with the
    reason; anything else that is broken ends the evaluation.

    Args:
        dataset_folder: the resolved data set.
        arms: deployable folders of teacher, hard_label and pseudo_label; of a teacher that is none
            the folder with its predictions.
        candidates: folder with the deployable forms of the student; ``float32`` is the student.
        champion: folder with ``champion.json`` and, where there is a champion, its deployable
            files.
        spec: how latency is measured, and the level of the intervals.

    Raises:
        UserError: a model is damaged, does not fit the data set, or gives no probabilities; or the
            test split is empty or has a row without a label.
    """
    dataset = Dataset.open(dataset_folder)
    manifest = dataset.manifest
    if not manifest.rows["test"]:
        raise UserError(
            f"{manifest.source}: the test split has no rows; there is nothing to measure on"
        )
    record = read_record(champion / CHAMPION_RECORD, ChampionRecord, "champion record")
    made = read_candidates(candidates)
    folders = _folders(arms, candidates, champion if record.state == "present" else None)
    lineup = open_lineup(folders, candidates, made, manifest, spec.latency)
    slicings = find_slices(dataset)
    scores = score_rows(dataset, _wanted(lineup, slicings))
    paths = {name: model.path for name, model in lineup.files.items() if name not in scores.broken}
    footprints = measure_footprints(paths, scores.sample, spec.latency.threads[0])
    timed = latency.measure(paths, scores.sample, spec.latency, spec.confidence)
    results = _Results(
        classes=manifest.classes,
        confidence=spec.confidence,
        scores=scores,
        slicings=slicings,
        latencies=timed.latencies,
        footprints=footprints,
        sizes={name: path.stat().st_size for name, path in paths.items()},
    )
    measured = {arm: results.of(entry, arm == TEACHER) for arm, entry in lineup.arms.items()}
    old = lineup.arms.get("champion")
    return Evaluation(
        dataset_digest=manifest.digest,
        classes=manifest.classes,
        rows=scores.rows,
        confidence=spec.confidence,
        arms=measured,
        paired=_paired(scores, lineup.arms["student"], lineup),
        candidates=_candidates(made, lineup, scores, results),
        skipped=_skipped(made, lineup, scores),
        noise=timed.noise,
        champion_state=record.state,
        champion_version=record.version,
        champion_dataset_digest=old.description.dataset_digest if old else None,
        served_teacher=results.of_served(lineup.served_teacher) if lineup.served_teacher else None,
        teacher_lead=scores.pairs[_lead(lineup)].counts,
    )


def _folders(
    arms: Mapping[ArmName, Path], candidates: Path, champion: Path | None
) -> dict[ArmName, Path]:
    """The deployable folder of every arm, in the order in which they are shown."""
    folders: dict[ArmName, Path] = {
        "teacher": arms["teacher"],
        "student": candidates / REFERENCE,
        "hard_label": arms["hard_label"],
        "pseudo_label": arms["pseudo_label"],
    }
    return folders | ({"champion": champion} if champion else {})


def _wanted(lineup: Lineup, slicings: Sequence[Slicing]) -> Pass:
    students = [lineup.arms["student"], *lineup.candidates.values()]
    return Pass(
        models=lineup.models,
        teacher=lineup.teacher,
        may_break=lineup.optional,
        slicings=slicings,
        pairs={(student.model, other) for student in students for other in lineup.others.values()}
        | {_lead(lineup)},
    )


def _lead(lineup: Lineup) -> tuple[str, str]:
    """Teacher and hard-label arm, whose difference is what there is to distil."""
    return lineup.teacher, lineup.arms["hard_label"].model


@dataclass(frozen=True)
class _Results:
    """Everything that was measured, by model."""

    classes: list[str]
    confidence: float
    scores: Scores
    slicings: Sequence[Slicing]
    latencies: Mapping[str, list[Latency]]
    footprints: Mapping[str, Footprint]
    sizes: Mapping[str, int]
    """Bytes of the ONNX files."""

    def of(self, entry: Entry, teacher: bool) -> ArmResult:
        """What was measured of an arm or a candidate."""
        description = entry.description
        return ArmResult(
            **self._quality(entry.model, teacher),
            parameters=description.parameters,
            size_bytes=self.sizes[entry.model],
            latency=self.latencies[entry.model],
            footprint=self.footprints[entry.model],
            model_digest=description.onnx_sha256,
            bundle_digest=description.bundle_digest,
        )

    def of_served(self, model: StoredModel) -> ServedResult:
        """What was measured of a teacher that was not run here."""
        record = model.record
        return ServedResult(
            **self._quality(TEACHER, teacher=True),
            described=record.described,
            teacher_digest=record.teacher_digest,
            predictions_digest=record.sha256,
        )

    def _quality(self, model: str, teacher: bool) -> dict[str, Any]:
        """The fields of :class:`Quality`."""
        sums = self.scores.whole[model].sums(0)
        confusion, positives, every = sums.detail
        return {
            "rows": sums.rows,
            "metrics": self._estimates(sums, teacher),
            "per_class": per_class(confusion, self.classes),
            "confusion": confusion.tolist(),
            "calibration": calibration_bins(sums.calibration),
            "roc": roc_points(positives, every),
            "slices": self._slices(model, teacher),
        }

    def _slices(self, model: str, teacher: bool) -> list[SliceResult]:
        """The slices that have rows."""
        found = [
            (slicing.column, name, tally.sums(group))
            for slicing, tally in zip(self.slicings, self.scores.sliced[model], strict=True)
            for group, name in enumerate(slicing.names)
        ]
        return [
            SliceResult(
                column=column, value=name, rows=sums.rows, metrics=self._estimates(sums, teacher)
            )
            for column, name, sums in found
            if sums.rows
        ]

    def _estimates(self, sums: Sums, teacher: bool) -> dict[MetricName, Estimate]:
        found = estimates(sums, self.confidence)
        return {
            name: estimate
            for name, estimate in found.items()
            if not (teacher and name in _ABOUT_THE_TEACHER)
        }


def _paired(scores: Scores, student: Entry, lineup: Lineup) -> dict[ArmName, PairedCounts]:
    """A form of the student against each other arm."""
    return {arm: scores.pairs[student.model, other].counts for arm, other in lineup.others.items()}


def _candidates(
    made: CandidateSet, lineup: Lineup, scores: Scores, results: _Results
) -> list[CandidateResult]:
    described = {candidate.name: candidate.how for candidate in made.candidates}
    return [
        CandidateResult(
            name=name,
            how=described[name],
            measured=results.of(entry, teacher=False),
            paired=_paired(scores, entry, lineup),
        )
        for name, entry in lineup.candidates.items()
        if entry.model not in scores.broken
    ]


def _skipped(made: CandidateSet, lineup: Lineup, scores: Scores) -> list[SkippedCandidate]:
    """What compression could not make, and what is broken."""
    while_run = {
        name: scores.broken[entry.model]
        for name, entry in lineup.candidates.items()
        if entry.model in scores.broken
    }
    broken = lineup.broken | while_run
    return [
        *made.skipped,
        *(SkippedCandidate(name=name, reason=reason) for name, reason in broken.items()),
    ]

"""Making every candidate of the recipe, and keeping why one could not be made."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from components.compression.deploying import FormNotMade, Inputs, write_deployable
from components.compression.forms import Student, make_form
from components.shared import events
from components.shared.bundle import ModelBundle
from components.shared.candidates import CandidateDescription, CandidateSet, write_candidates
from components.shared.deployable import ONNX_FILE
from components.shared.files import new_directory
from components.shared.recipe import CandidateSpec
from components.shared.recipe.compression import Float32
from components.shared.results import SkippedCandidate

_REFERENCE = Float32(kind="float32")


@dataclass(frozen=True)
class CandidateMaker:
    """Makes the forms of one student."""

    student: Student
    bundle: ModelBundle
    """The student's."""
    checked: Inputs
    """Rows on which every form is compared with torch, shape (rows, \\*input shape)."""
    teacher_digest: str

    def write(self, folder: Path, specs: Sequence[CandidateSpec]) -> CandidateSet:
        """Write the candidate set; complete or absent.

        Args:
            folder: where ``candidates.json`` and the folder of each form go.
            specs: the candidates; ``float32`` is written in any case.

        Raises:
            FormNotMade: the float32 form is broken.
            UserError: the soft labels are not those of the training rows.
        """
        candidates, skipped = [], []
        with new_directory(folder) as temporary:
            reference = self._write_form(temporary, _REFERENCE)
            for spec in specs:
                try:
                    is_reference = spec.name == reference.name
                    made = reference if is_reference else self._write_form(temporary, spec)
                    candidates.append(made)
                except FormNotMade as error:
                    events.emit("skipped", candidate=spec.name, reason=str(error))
                    skipped.append(SkippedCandidate(name=spec.name, reason=str(error)))
            made_set = CandidateSet(candidates=candidates, skipped=skipped)
            write_candidates(temporary, made_set)
        return made_set

    def _write_form(self, folder: Path, spec: CandidateSpec) -> CandidateDescription:
        make = partial(make_form, spec, self.student)
        target = folder / spec.name
        deployable, form, fidelity = write_deployable(
            target, make, self.bundle, self.checked, self.teacher_digest
        )
        events.emit(
            "compressed",
            candidate=spec.name,
            size_bytes=(target / ONNX_FILE).stat().st_size,
            agreement=fidelity.agreement,
            max_difference=fidelity.max_difference,
            rows=deployable.checked_rows,
        )
        return CandidateDescription(name=spec.name, how=form.how, agreement=fidelity.agreement)

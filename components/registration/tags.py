"""Names of the tags and the alias by which runs and versions are found again."""

RUN_ID = "kubedistill.run_id"
VERDICT = "kubedistill.verdict"
DATASET_DIGEST = "kubedistill.dataset_digest"
TEACHER_DIGEST = "kubedistill.teacher_digest"
STUDENT_DIGEST = "kubedistill.student_digest"
CANDIDATE = "kubedistill.candidate"
"""The form of the student that was chosen; after a rejection, the one that came closest."""
FAILED_GATES = "kubedistill.failed_gates"
"""Comma-separated; empty after a promotion."""
PARENT_VERSION = "kubedistill.parent_version"
"""The champion that a version was compared with and took over from; empty for the first."""
GIT_COMMIT = "kubedistill.git_commit"
"""The commit that the recipe is from; empty where it is not known."""
SHADOW = "kubedistill.shadow"
"""What the latest comparison with the champion on fresh rows came to, in one line."""


def former_alias(alias: str) -> str:
    """The alias of the champion before the present one: ``former-champion`` for ``champion``."""
    return f"former-{alias}"


def challenger_alias(alias: str) -> str:
    """The alias of the version that waits for approval: ``challenger`` for ``champion``."""
    return "challenger" if alias == "champion" else f"challenger-{alias}"


DECISION_DIGEST = "kubedistill.decision_digest"
"""SHA-256 of the run's ``decision.json``."""
EVALUATION_DIGEST = "kubedistill.evaluation_digest"
"""SHA-256 of the run's ``evaluation.json``."""
UPLOADED_DIGEST = "kubedistill.uploaded_digest"
"""SHA-256 of the ONNX file of a logged model, once all of its files are uploaded."""
FIGURES_AT = "kubedistill.figures_at"
"""Timestamp of a run's figures, milliseconds since the epoch."""

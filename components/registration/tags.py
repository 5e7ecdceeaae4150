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
PROMOTED_AT = "kubedistill.promoted_at"
"""When the alias was moved to a version, ISO 8601 in UTC."""
REPLACED_BY = "kubedistill.replaced_by"
"""The version that took the alias over."""


def former_alias(alias: str) -> str:
    """The alias of the champion before the present one: ``former-champion`` for ``champion``."""
    return f"former-{alias}"

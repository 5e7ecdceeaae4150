"""The recipe's ``registry`` section."""

from typing import Annotated, Literal

from pydantic import Field, field_validator

from components.shared.recipe.base import Spec
from components.shared.recipe.card import CardSpec
from components.shared.recipe.hooks import KServeSpec, Webhooks


class RegistrySpec(Spec):
    """Where models and runs are recorded."""

    model: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_. -]*$")]
    """Name of the registered model; serving loads ``models:/<name>@<alias>``."""
    alias: Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_-]{0,199}$")] = "champion"
    """The alias that serving reads."""
    experiment: str = "kubedistill"
    """MLflow experiment of the pipeline runs."""
    promotion: Literal["automatic", "approval", "dry_run"] = "automatic"
    """What follows when all gates pass. ``automatic``: the student becomes the champion.
    ``approval``: it becomes the challenger, until a person or a workflow promotes or rejects it.
    ``dry_run``: it is said what would be done, and the registry stays as it is."""
    card: CardSpec = CardSpec()
    """What the model card says besides measurements."""
    webhooks: Webhooks = []
    """Who is told of promotions, rejections and rollbacks."""
    kserve: KServeSpec | None = None
    """The ``InferenceService`` to write from the champion, and to apply where it says so."""

    @field_validator("alias")
    @classmethod
    def _not_reserved(cls, alias: str) -> str:
        lowered = alias.lower()
        if lowered == "latest" or (lowered[0] == "v" and lowered[1:].isdigit()):
            raise ValueError("'latest' and 'v<number>' are reserved by MLflow")
        if lowered == "challenger" or lowered.startswith(("former-", "challenger-")):
            raise ValueError("'challenger', 'challenger-…' and 'former-…' are for other versions")
        return alias

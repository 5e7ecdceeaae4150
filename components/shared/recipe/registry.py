"""The recipe's ``registry`` section."""

from typing import Annotated

from pydantic import Field, field_validator

from components.shared.recipe.base import Spec


class RegistrySpec(Spec):
    """Where models and runs are recorded."""

    model: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_. -]*$")]
    """Name of the registered model; serving loads ``models:/<name>@<alias>``."""
    alias: Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_-]*$")] = "champion"
    """The alias that serving reads."""
    experiment: str = "kubedistill"
    """MLflow experiment of the pipeline runs."""

    @field_validator("alias")
    @classmethod
    def _not_reserved(cls, alias: str) -> str:
        lowered = alias.lower()
        if lowered == "latest" or (lowered[0] == "v" and lowered[1:].isdigit()):
            raise ValueError("'latest' and 'v<number>' are reserved by MLflow")
        return alias

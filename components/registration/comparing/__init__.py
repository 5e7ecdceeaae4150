"""What differs between two registered versions: figures, data, teacher, form, gates, recipe."""

from components.registration.comparing.differences import compare
from components.registration.comparing.reading import read_side
from components.registration.comparing.records import (
    ComparedVersion,
    FigureDifference,
    GateDifference,
    RecipeChange,
    VersionDiff,
)
from components.registration.promotion.registered import registered
from components.shared.recipe import RegistrySpec

__all__ = [
    "ComparedVersion",
    "FigureDifference",
    "GateDifference",
    "RecipeChange",
    "VersionDiff",
    "compare_versions",
]


def compare_versions(
    registry: RegistrySpec, first: str, second: str, tracking_uri: str = ""
) -> VersionDiff:
    """Compare two versions of a registered model; changes nothing.

    Args:
        registry: names the registered model.
        first: number or alias of the version that differences are taken from.
        second: number or alias of the other.
        tracking_uri: MLflow tracking URI; empty for the environment's ``MLFLOW_TRACKING_URI``.

    Raises:
        UserError: there is no such model, version or alias, or what its run kept is gone.
        TrackingError: MLflow cannot be reached.
    """
    with registered(registry, tracking_uri) as model:
        sides = [read_side(model, given) for given in (first, second)]
        return compare(registry.model, model.public_uri, *sides)

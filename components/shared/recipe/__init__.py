"""The recipe: one YAML file that describes a distillation."""

from components.shared.recipe.compression import CandidateSpec, CompressionSpec
from components.shared.recipe.data import (
    POSITION,
    ColumnSplit,
    DataSpec,
    ImageInput,
    RandomSplit,
    TabularInput,
    ValidationSpec,
)
from components.shared.recipe.document import Recipe, recipe_schema
from components.shared.recipe.evaluation import EvaluationSpec, LatencySpec
from components.shared.recipe.gates import Gates
from components.shared.recipe.loading import load_recipe, parse_section
from components.shared.recipe.models import (
    BundleTeacher,
    CnnSpec,
    DistillationSpec,
    MlpSpec,
    ModelSpec,
    ResNetSpec,
    StudentSpec,
    StudentTrainingSpec,
    TrainedTeacher,
    TrainingSpec,
)
from components.shared.recipe.registry import RegistrySpec

__all__ = [
    "POSITION",
    "BundleTeacher",
    "CandidateSpec",
    "CnnSpec",
    "ColumnSplit",
    "CompressionSpec",
    "DataSpec",
    "DistillationSpec",
    "EvaluationSpec",
    "Gates",
    "ImageInput",
    "LatencySpec",
    "MlpSpec",
    "ModelSpec",
    "RandomSplit",
    "Recipe",
    "RegistrySpec",
    "ResNetSpec",
    "StudentSpec",
    "StudentTrainingSpec",
    "TabularInput",
    "TrainedTeacher",
    "TrainingSpec",
    "ValidationSpec",
    "load_recipe",
    "parse_section",
    "recipe_schema",
]

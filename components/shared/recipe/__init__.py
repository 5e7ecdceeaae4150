"""The recipe: one YAML file that describes a distillation.

Here are its sections, and the kinds of which one is chosen by ``kind``, ``by``, ``family`` or
``source``.
"""

from components.shared.recipe.columns import CategoricalColumn, NumericColumn
from components.shared.recipe.compression import CandidateSpec, CompressionSpec
from components.shared.recipe.data import POSITION, ColumnSplit, DataSpec, RandomSplit
from components.shared.recipe.document import Recipe, recipe_schema
from components.shared.recipe.evaluation import EvaluationSpec, LatencySpec
from components.shared.recipe.expectations import ExpectationSpec
from components.shared.recipe.gates import Gates
from components.shared.recipe.inputs import ImageInput, InputSpec, TabularInput, TextInput
from components.shared.recipe.labelling import LabellingSpec, ViewsSpec
from components.shared.recipe.loading import load_recipe, parse_section
from components.shared.recipe.models import (
    BagSpec,
    CnnSpec,
    MlpSpec,
    MobileNetSpec,
    ModelSpec,
    ResidualMlpSpec,
    ResNetSpec,
    TransformerSpec,
)
from components.shared.recipe.registry import RegistrySpec
from components.shared.recipe.resources import Resources, StepResources
from components.shared.recipe.student import (
    AssistantSpec,
    DistillationSpec,
    LearningSpec,
    StudentSpec,
)
from components.shared.recipe.teacher import (
    BundleTeacher,
    EndpointTeacher,
    EnsembleTeacher,
    MlflowTeacher,
    OnnxTeacher,
    TeacherSpec,
    TrainedTeacher,
)
from components.shared.recipe.tokenizers import FileTokenizer, HashTokenizer, TokenizerSpec
from components.shared.recipe.training import StudentTrainingSpec, TrainingSpec
from components.shared.recipe.validation import CoverageSpec, DriftSpec, Policies, ValidationSpec

__all__ = [
    "POSITION",
    "AssistantSpec",
    "BagSpec",
    "BundleTeacher",
    "CandidateSpec",
    "CategoricalColumn",
    "CnnSpec",
    "ColumnSplit",
    "CompressionSpec",
    "CoverageSpec",
    "DataSpec",
    "DistillationSpec",
    "DriftSpec",
    "EndpointTeacher",
    "EnsembleTeacher",
    "EvaluationSpec",
    "ExpectationSpec",
    "FileTokenizer",
    "Gates",
    "HashTokenizer",
    "ImageInput",
    "InputSpec",
    "LabellingSpec",
    "LatencySpec",
    "LearningSpec",
    "MlflowTeacher",
    "MlpSpec",
    "MobileNetSpec",
    "ModelSpec",
    "NumericColumn",
    "OnnxTeacher",
    "Policies",
    "RandomSplit",
    "Recipe",
    "RegistrySpec",
    "ResNetSpec",
    "ResidualMlpSpec",
    "Resources",
    "StepResources",
    "StudentSpec",
    "StudentTrainingSpec",
    "TabularInput",
    "TeacherSpec",
    "TextInput",
    "TokenizerSpec",
    "TrainedTeacher",
    "TrainingSpec",
    "TransformerSpec",
    "ValidationSpec",
    "ViewsSpec",
    "load_recipe",
    "parse_section",
    "recipe_schema",
]

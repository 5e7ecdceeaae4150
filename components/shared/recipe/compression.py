"""The recipe's ``compression`` section: the forms of the student that may be deployed."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator

from components.shared.recipe.base import PositiveFloat, PositiveInt, Spec, repeated


class Float32(Spec):
    """The student as it was trained."""

    kind: Literal["float32"]

    @property
    def name(self) -> str:
        """What the candidate is called in evaluation and decision."""
        return self.kind


class Float16(Spec):
    """Weights and arithmetic in half precision; inputs and outputs stay float32.

    Half the size. CPUs without half-precision arithmetic convert at every call.
    """

    kind: Literal["float16"]

    @property
    def name(self) -> str:
        """What the candidate is called in evaluation and decision."""
        return self.kind


class Int8Dynamic(Spec):
    """Weights of fully connected layers in int8, activations quantised at every call by the range
    that they have in that call. So rows of one call change each other's predictions a little; it
    is measured with ``evaluation.latency.batch_sizes[0]`` rows in a call, and should be served so.
    """

    kind: Literal["int8_dynamic"]

    @property
    def name(self) -> str:
        """What the candidate is called in evaluation and decision."""
        return self.kind


class Int8Static(Spec):
    """Weights and activations in int8, with ranges from calibration rows of the transfer pool."""

    kind: Literal["int8_static"]
    rows: PositiveInt = 512
    """Calibration rows."""
    ranges: Literal["minmax", "entropy", "percentile"] = "minmax"
    """How the range of an activation follows from what was seen."""

    @property
    def name(self) -> str:
        """What the candidate is called in evaluation and decision."""
        return self.kind if self.ranges == "minmax" else f"{self.kind}_{self.ranges}"


class Int8Aware(Spec):
    """Int8 after quantisation-aware distillation: the student learns on from the teacher's soft
    labels with rounding simulated in every forward pass, and is then quantised as by
    ``int8_static``."""

    kind: Literal["int8_qat"]
    steps: PositiveInt = 200
    """Optimizer steps."""
    learning_rate: PositiveFloat | None = None
    """By default a tenth of the student's."""
    rows: PositiveInt = 512
    """Calibration rows."""

    @property
    def name(self) -> str:
        """What the candidate is called in evaluation and decision."""
        return self.kind


class Pruned(Spec):
    """Weights removed by their size, then distillation to recover.

    ``channels`` removes whole units and channels, and makes file and arithmetic smaller. ``2:4``
    (two of four weights are zero) and ``unstructured`` only set weights to zero, which ONNX Runtime
    on a CPU neither stores nor computes any faster.
    """

    kind: Literal["pruned"]
    structure: Literal["channels", "2:4", "unstructured"] = "channels"
    sparsity: Annotated[float, Field(gt=0, lt=1)] = 0.5
    """Share that is removed: of the channels of each layer (convolutions with over 16 left keep
    a multiple of 16, which CPUs compute faster; of a transformer, of the units inside its
    feed-forward parts), or of the weights. Always a half for ``2:4``."""
    steps: PositiveInt = 400
    """Optimizer steps of the recovery."""
    learning_rate: PositiveFloat | None = None
    """By default the student's."""
    precision: Literal["float32", "int8"] = "float32"
    """``int8`` quantises the pruned student as ``int8_static`` does."""

    @property
    def name(self) -> str:
        """What the candidate is called in evaluation and decision."""
        share = "" if self.structure == "2:4" else f"_{self.sparsity * 100:g}"
        structure = self.structure.replace(":", "_")
        return f"pruned_{structure}{share}{'_int8' if self.precision == 'int8' else ''}"

    @field_validator("structure", mode="before")
    @classmethod
    def _base_sixty(cls, value: Any) -> Any:
        """YAML takes an unquoted ``2:4`` for a number in base 60."""
        return "2:4" if value == 2 * 60 + 4 else value

    @field_validator("sparsity")
    @classmethod
    def _half_for_two_of_four(cls, value: float, info: Any) -> float:
        if info.data.get("structure") == "2:4" and value != 0.5:
            raise ValueError("is always 0.5 for structure 2:4; leave it out")
        return value


def _named(value: Any) -> Any:
    """Let ``int8_static`` stand for ``{kind: int8_static}``."""
    return {"kind": value} if isinstance(value, str) else value


_Form = Float32 | Float16 | Int8Dynamic | Int8Static | Int8Aware | Pruned
_Kind = Literal["float32", "float16", "int8_dynamic", "int8_static", "int8_qat", "pruned"]

CandidateSpec = Annotated[
    _Form,
    Field(discriminator="kind"),
    BeforeValidator(_named, json_schema_input_type=_Form | _Kind),
]


class CompressionSpec(Spec):
    """Which forms of the student are made, measured and judged; the gates choose among them.

    Each further form makes the gates' bounds a little wider, since a choice among several is more
    easily lucky.
    """

    candidates: Annotated[list[CandidateSpec], Field(min_length=1)] = [Float32(kind="float32")]
    """In order of preference where the gates cannot tell them apart."""

    @field_validator("candidates")
    @classmethod
    def _each_once(cls, candidates: list[Any]) -> list[Any]:
        if twice := repeated([candidate.name for candidate in candidates]):
            raise ValueError(
                f"{twice} is listed more than once; candidates of a kind have to differ in ranges, "
                "structure, sparsity or precision"
            )
        return candidates

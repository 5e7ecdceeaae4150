"""The Open Inference Protocol, version 2, over HTTP and JSON: what is sent, and what comes back.

The protocol: github.com/kserve/open-inference-protocol, ``specification/protocol/
inference_rest.md``. Nothing here does input or output.
"""

import json
from typing import Any, NamedTuple
from urllib.parse import quote

import numpy as np
import numpy.typing as npt

from components.shared.errors import UserError
from components.shared.files import digest_of
from components.shared.teacher import EndpointTensor
from components.soft_labels.teachers.layout import Array, Layout, layout_for

_TYPES: dict[str, type[np.generic]] = {
    "FP16": np.float16,
    "FP32": np.float32,
    "FP64": np.float64,
    "UINT8": np.uint8,
    "INT8": np.int8,
    "INT32": np.int32,
    "INT64": np.int64,
}
_OUTPUTS = ("FP16", "BF16", "FP32", "FP64")
_LONGEST = 300
"""Characters of a server's message that are shown."""


class ModelMetadata(NamedTuple):
    """What a server says of a model."""

    inputs: list[EndpointTensor]
    outputs: list[EndpointTensor]


def model_path(model: str, version: str | None) -> str:
    """Path of a model below the server's URL."""
    path = f"v2/models/{quote(model, safe='')}"
    return path if version is None else f"{path}/versions/{quote(version, safe='')}"


def parse_metadata(answer: Any) -> ModelMetadata:
    """The answer to a question for a model's metadata.

    Raises:
        UserError: it is none of this protocol.
    """
    try:
        return ModelMetadata(
            *([_tensor(entry) for entry in answer[part]] for part in ("inputs", "outputs"))
        )
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(
            "the server's description of the model is not one of the Open Inference Protocol, "
            f"version 2: {_clip(json.dumps(answer))}"
        ) from error


def identity_of(answer: Any, version: str | None) -> str:
    """Hash of what a server says of a model; other versions do not matter to a given one.

    Raises:
        UserError: it is no description of this protocol.
    """
    parse_metadata(answer)
    kept = ["name", "platform", "inputs", "outputs", *(["versions"] if version is None else [])]
    return digest_of({name: answer.get(name) for name in kept})


def choose_tensors(
    metadata: ModelMetadata, input_name: str, output_name: str, classes: int
) -> tuple[EndpointTensor, EndpointTensor]:
    """The input that takes rows, and the output that gives a number for each class.

    Args:
        metadata: of the model.
        input_name: name of the input; empty where there is one.
        output_name: name of the output; empty where only one can be it.
        classes: how many there are.

    Raises:
        UserError: they cannot be told, or do not hold numbers.
    """
    taken = _named(metadata.inputs, input_name, "input")
    if len(metadata.inputs) > 1:
        others = ", ".join(one.name for one in metadata.inputs if one.name != taken.name)
        raise UserError(f"the served model takes {others} too, which the data set does not have")
    if taken.datatype not in _TYPES:
        raise UserError(f"the served model's input {taken.name} takes {taken.datatype}, no numbers")
    fitting = [one for one in metadata.outputs if _could_be(one, classes)]
    given = _named(metadata.outputs if output_name else fitting, output_name, "output")
    if not _could_be(given, classes):
        raise UserError(
            f"the served model's output {given.name} is {given.datatype} of shape {given.shape}; "
            f"the data set has {classes} classes, for each of which the teacher has to give a "
            "number"
        )
    return taken, given


def request_layout(taken: EndpointTensor, shape: tuple[int, ...]) -> Layout:
    """The layout of rows that a model wants.

    Raises:
        UserError: the data set's rows cannot be brought into it.
    """
    return layout_for(taken.shape[1:] if taken.shape else None, shape, "the served model")


def infer_request(ident: str, taken: EndpointTensor, given: str, rows: Array) -> bytes:
    """The body of a request.

    Args:
        ident: comes back in the answer.
        taken: input of the model.
        given: name of the output that is asked for.
        rows: in the layout that the model wants; all numbers are finite.

    Raises:
        UserError: a value is not a whole number where the model takes those.
    """
    kind = np.dtype(_TYPES[taken.datatype])
    values = rows.astype(kind)
    if kind.kind in "iu" and not np.array_equal(values, rows):
        raise UserError(f"the served model takes {taken.datatype}; a row has other numbers")
    tensor = {
        "name": taken.name,
        "shape": list(rows.shape),
        "datatype": taken.datatype,
        "data": values.ravel().tolist(),
    }
    body = {"id": ident, "inputs": [tensor], "outputs": [{"name": given}]}
    return json.dumps(body, allow_nan=False).encode()


def infer_answer(answer: Any, ident: str, given: str, rows: int) -> npt.NDArray[np.float32]:
    """The numbers in an answer, shape (rows, any number).

    Args:
        answer: the parsed body.
        ident: of the request.
        given: name of the output that was asked for.
        rows: how many were sent.

    Raises:
        UserError: it is no answer to this request.
    """
    if not isinstance(answer, dict) or not isinstance(answer.get("outputs"), list):
        raise UserError(
            f"the endpoint's answer is none of its protocol: {_clip(json.dumps(answer))}"
        )
    if answer.get("id", ident) != ident:
        raise UserError(
            f"the endpoint answered request {answer['id']!r}, but {ident!r} was asked; answers and "
            "rows would be mixed up"
        )
    found = {entry.get("name"): entry for entry in answer["outputs"] if isinstance(entry, dict)}
    if given not in found:
        raise UserError(
            f"the endpoint's answer has no output {given!r}, but {', '.join(map(str, found))}"
        )
    try:
        shape = [int(length) for length in found[given]["shape"]]
        values = np.asarray(found[given]["data"], np.float32).reshape(shape)
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"the endpoint's output {given!r} cannot be read: {error}") from error
    if values.ndim != 2 or len(values) != rows:
        raise UserError(
            f"the endpoint gives an output of shape {shape} for {rows} rows; it should have one "
            "row for each, and one number for each class"
        )
    return values


def error_message(body: bytes) -> str:
    """What a server says is wrong, from the body of its answer."""
    text = body[:10_000].decode(errors="replace")
    try:
        answer = json.loads(text)
    except ValueError:
        answer = None
    if isinstance(answer, dict):
        text = str(answer.get("error") or answer.get("detail") or text)
    return _clip(" ".join(text.split()))


def _tensor(entry: Any) -> EndpointTensor:
    return EndpointTensor(
        name=entry["name"],
        datatype=entry["datatype"],
        shape=[int(length) for length in entry.get("shape") or []],
    )


def _could_be(tensor: EndpointTensor, classes: int) -> bool:
    """Whether an output gives a number a class."""
    if tensor.datatype not in _OUTPUTS:
        return False
    return not tensor.shape or tensor.shape[-1] in (-1, classes)


def _named(tensors: list[EndpointTensor], name: str, what: str) -> EndpointTensor:
    known = [tensor.name for tensor in tensors]
    if name:
        if name not in known:
            raise UserError(
                f"teacher.{what}_name: the served model has no {what} {name!r}; it has "
                f"{', '.join(known)}"
            )
        return tensors[known.index(name)]
    if not known:
        raise UserError(f"the served model has no {what} that could be the teacher's")
    if len(known) > 1:
        raise UserError(
            f"the served model has the {what}s {', '.join(known)}; name one in teacher.{what}_name"
        )
    return tensors[0]


def _clip(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"

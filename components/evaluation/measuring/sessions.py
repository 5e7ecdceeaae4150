"""Opening ONNX files with ONNX Runtime."""

from pathlib import Path
from typing import Literal

import onnxruntime as ort

from components.shared.deployable import INPUT_NAME, OUTPUT_NAME
from components.shared.errors import UserError

Provider = Literal["cpu", "cuda"]
_PROVIDERS: dict[Provider, str] = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
}
_ERRORS_ONLY = 3


def open_session(name: str, path: Path, threads: int, provider: Provider) -> ort.InferenceSession:
    """Open a deployable model's ONNX file.

    Threads that have nothing to do sleep. By default they spin for some 40 ms after a call, which
    takes CPUs from the next model's turn: with two threads on two cores, models that took turns
    were measured at up to 2.5 times their latency. Waking them costs some 20 microseconds an
    operator, so latencies with more than one thread are those of a server that does not spin either
    (``session.intra_op.allow_spinning``): rather too high than too low.

    Args:
        name: what errors call the model, such as ``student``.
        path: the ONNX file.
        threads: threads of one operator; operators run one after the other.
        provider: where it runs. ONNX Runtime would go on without a word on the CPU where CUDA
            cannot be had; here that is an error.

    Raises:
        UserError: the file does not load, does not take and give what a deployable model does, or
            the provider cannot be had.
    """
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = _ERRORS_ONLY
    wanted = _PROVIDERS[provider]
    if wanted not in ort.get_available_providers():
        raise UserError(
            f"evaluation.latency.provider is {provider}, but the ONNX Runtime that is installed "
            f"has no {wanted}; install onnxruntime-gpu in the place of onnxruntime (the image of "
            "evaluate_student), or set it to cpu"
        )
    try:
        session = ort.InferenceSession(path, options, providers=[wanted])
    except Exception as error:  # ONNX Runtime's errors share no other base
        raise UserError(f"the {name}: ONNX Runtime cannot load {path}: {error}") from error
    if wanted not in session.get_providers():
        raise UserError(
            f"evaluation.latency.provider is {provider}, but ONNX Runtime could not start {wanted} "
            f"for the {name}; onnxruntime-gpu needs a GPU, its driver, CUDA and cuDNN. Its own "
            "message is in the log of this step"
        )
    inputs = [value.name for value in session.get_inputs()]
    outputs = [value.name for value in session.get_outputs()]
    if inputs != [INPUT_NAME] or OUTPUT_NAME not in outputs:
        raise UserError(
            f"the {name}: {path} takes {', '.join(inputs)} and gives {', '.join(outputs)}; a "
            f"deployable model takes {INPUT_NAME} and gives {OUTPUT_NAME}"
        )
    return session

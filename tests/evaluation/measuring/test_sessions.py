"""Sessions: what cannot be had is an error, and threads that wait get out of the way."""

from pathlib import Path

import pytest

from components.evaluation.measuring.sessions import open_session
from components.shared.errors import UserError
from tests.evaluation.measuring.onnx_files import write_layers


def test_a_file_that_is_no_deployable_model_is_named(tmp_path: Path) -> None:
    (tmp_path / "broken.onnx").write_bytes(b"no model")
    with pytest.raises(UserError, match=r"the champion: ONNX Runtime cannot load .*broken\.onnx"):
        open_session("champion", tmp_path / "broken.onnx", 1, "cpu")
    other = write_layers(tmp_path / "other.onnx", [2, 2], input_name="x", output_name="y")
    with pytest.raises(UserError, match="takes x and gives y"):
        open_session("champion", other, 1, "cpu")


def test_threads_that_wait_sleep_and_leave_the_cpus_to_the_next_model(tmp_path: Path) -> None:
    """Asserted on ONNX Runtime's setting: on a busy machine, spinning does not show reliably."""
    session = open_session("teacher", write_layers(tmp_path / "teacher.onnx", [2, 2]), 2, "cpu")
    options = session.get_session_options()
    assert options.intra_op_num_threads == 2
    assert options.get_session_config_entry("session.intra_op.allow_spinning") == "0"

from functools import partial
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest
import torch

from components.compression.deploying import Form, FormNotMade, compare, write_deployable
from components.compression.forms import float32, make_form
from components.shared.deployable import DEPLOYABLE, ONNX_FILE, read_deployable
from components.shared.errors import UserError
from components.shared.networks import Classifier
from components.shared.networks.exporting import export_onnx
from components.shared.recipe.compression import Int8Dynamic
from tests.compression.conftest import Case, case_of


def other_than_its_file(case: Case, exact: bool, path: Path) -> Form:
    """An ONNX file with the digits in another order than the torch model has them."""
    torch.manual_seed(1)
    other = Classifier.build(case.bundle.model, case.bundle.input, case.bundle.preprocessing, 10)
    export_onnx(case.network, path)
    return Form(other.eval(), "", 0, exact)


def test_description_says_how_far_the_file_is_from_torch(tmp_path: Path, case: Case) -> None:
    written, _, fidelity = write_deployable(
        tmp_path / "out", partial(float32, case.network), case.bundle, case.rows, "t" * 64
    )
    session = ort.InferenceSession(str(tmp_path / "out" / ONNX_FILE))
    (found,) = session.run(["probabilities"], {"input": case.rows})
    expected = case.network(torch.from_numpy(case.rows)).softmax(dim=1).detach().numpy()
    assert written.max_difference == pytest.approx(np.abs(found - expected).max(), abs=1e-6)
    assert (written.checked_rows, written.parameters) == (400, case.network.parameter_count)
    assert fidelity.agreement == 1
    assert read_deployable(tmp_path / "out") == written


def test_exact_form_that_computes_something_else_is_refused_and_not_written(tmp_path: Path) -> None:
    case = case_of("mlp")
    make = partial(other_than_its_file, case, True)
    with pytest.raises(FormNotMade, match=r"differs from the torch model by 0\.\d+"):
        write_deployable(tmp_path / "out", make, case.bundle, case.rows, None)
    assert list(tmp_path.iterdir()) == []


def test_rounded_form_that_predicts_other_classes_is_refused(tmp_path: Path) -> None:
    case = case_of("mlp")
    make = partial(other_than_its_file, case, False)
    with pytest.raises(FormNotMade, match=r"on \d+\.\d% of 400 training rows only"):
        write_deployable(tmp_path / "out", make, case.bundle, case.rows, None)


@pytest.mark.parametrize("exact", [True, False])
def test_form_with_a_probability_that_is_not_a_number_is_refused(
    tmp_path: Path, exact: bool
) -> None:
    case = case_of("mlp")
    rows = case.rows.copy()
    rows[3] = np.nan

    def make(path: Path) -> Form:
        export_onnx(case.network, path)
        return Form(case.network, "", 0, exact)

    with pytest.raises(FormNotMade, match="by nan" if exact else "are not finite"):
        write_deployable(tmp_path / "out", make, case.bundle, rows, None)


def test_file_that_is_not_the_one_described_is_refused(tmp_path: Path) -> None:
    case = case_of("mlp")
    write_deployable(tmp_path / "out", partial(float32, case.network), case.bundle, case.rows, None)
    with (tmp_path / "out" / ONNX_FILE).open("ab") as file:
        file.write(b"\0")
    with pytest.raises(UserError, match="not the file that deployable.json describes"):
        read_deployable(tmp_path / "out")
    (tmp_path / "out" / DEPLOYABLE).unlink()
    with pytest.raises(UserError, match="has no deployable.json"):
        read_deployable(tmp_path / "out")


def test_form_that_rounds_by_the_call_is_checked_with_a_call_for_each_row(tmp_path: Path) -> None:
    """One outlier in a call changes what dynamic quantisation makes of the other rows."""
    case = case_of("mlp")
    rows = case.rows[:64].copy()
    rows[0] *= 200
    dynamic = partial(make_form, Int8Dynamic(kind="int8_dynamic"), case.student())
    written, _, fidelity = write_deployable(tmp_path / "out", dynamic, case.bundle, rows, "t" * 64)
    together = compare(case.network, tmp_path / "out" / ONNX_FILE, rows)
    assert written.batch_dependent
    assert fidelity.max_difference < together.max_difference / 2

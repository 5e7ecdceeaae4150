"""Models that are not built in, from a recipe to the registry, on real data."""

import json

import numpy as np
import onnxruntime as ort
import pyarrow.parquet as pq
import pytest

from components.shared.recipe.outside_models import MODULES
from tests.command_line import ROOT, Workspace
from tests.real_data import docstrings
from tests.sentence_model import sentence_model

DOCSTRINGS = ROOT / "pipelines" / "recipes" / "docstrings.yaml"
LENGTH = 32
FACTORY = "{family: factory, factory: 'tests.factories:SmallCnn', arguments: {width: 16}}"


def test_network_of_a_users_own_is_distilled_where_its_module_is_allowed(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    overrides = (
        f"student.model={FACTORY}",
        "compression.candidates=[float32, int8_static, {kind: pruned, steps: 30}]",
        "gates={accuracy: {min: 0.5}, prefer: size}",
    )
    refused = workspace.distil("refused", *overrides)
    assert refused.status == 2, refused.stderr
    assert f"{MODULES} does not allow (allowed: none)" in refused.stderr
    assert not refused.output.exists()  # before anything is trained
    monkeypatch.setenv(MODULES, "tests.factories")
    ended = workspace.distil("out", *overrides)
    assert ended.status == 0, ended.stderr
    assert ended.summary["arms"]["student"]["accuracy"] > 0.8
    (listing,) = ended.output.glob("pipeline/*/compress-student/candidates/candidates.json")
    assert not json.loads(listing.read_text())["skipped"]
    assert "tests.factories:SmallCnn, width 16" in (ended.output / "report.html").read_text()


def test_sentence_encoder_teaches_a_bag_that_is_a_hundred_times_as_fast(
    workspace: Workspace,
) -> None:
    encoder = sentence_model()
    texts = docstrings("asyncio", "email", "logging", "importlib", most=200)
    pq.write_table(texts, workspace.folder / "docstrings.parquet")
    ended = workspace.distil(
        "out",
        "data.uri=docstrings.parquet",
        f"data.input.length={LENGTH}",
        "data.split.unlabelled=250",
        f"data.input.tokenizer={{kind: file, uri: '{encoder / 'tokenizer.json'}'}}",
        f"teacher.model={{family: sentence_encoder, folder: '{encoder}'}}",
        "teacher.training={steps: 300, batch_size: 64, learning_rate: 3e-3, weight_decay: 1e-2}",
        "compression.candidates=[float32]",
        "gates={accuracy: {min: 0.5}, latency: {ratio_to_teacher: 0.01}}",
        recipe=DOCSTRINGS,
    )
    assert ended.status == 0, ended.stderr  # the gate has a bound, not an estimate
    arms = ended.summary["arms"]
    assert arms["teacher"]["accuracy"] > 0.75  # the most frequent class: .27
    assert arms["student"]["accuracy"] > 0.6
    assert arms["teacher"]["parameters"] > 22_000_000
    report = (ended.output / "report.html").read_text()
    assert f"Sentence encoder {encoder}, with a head that was trained" in report
    (model,) = ended.output.glob("pipeline/*/compress-student/candidates/float32/model.onnx")
    (found,) = ort.InferenceSession(model).run(None, {"input": np.ones((1, LENGTH), np.float32)})
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-5)

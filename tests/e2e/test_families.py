"""A family of models from a recipe to the registry, on real data."""

import json

import numpy as np
import onnxruntime as ort
import pyarrow.parquet as pq

from tests.command_line import ROOT, Workspace
from tests.real_data import docstrings

DOCSTRINGS = ROOT / "pipelines" / "recipes" / "docstrings.yaml"
LENGTH = 32
CANDIDATES = ("float32", "float16", "int8_dynamic", "int8_static", "pruned_channels_50")


def test_transformer_is_distilled_into_a_smaller_one_in_every_form(workspace: Workspace) -> None:
    texts = docstrings("asyncio", "email", "logging", "importlib")
    pq.write_table(texts, workspace.folder / "docstrings.parquet")
    ended = workspace.distil(
        "out",
        "data.uri=docstrings.parquet",
        f"data.input.length={LENGTH}",
        "data.input.tokenizer={kind: hash, ngrams: 1, buckets: 4096}",
        "teacher.model={family: transformer, dims: 32, layers: 2, hidden: 64, dropout: 0.1}",
        "teacher.training.learning_rate=3e-3",
        "student.model={family: transformer, dims: 16, heads: 2, layers: 1, hidden: 32}",
        "compression.candidates="
        "[float32, float16, int8_dynamic, int8_static, {kind: pruned, steps: 50}]",
        "gates={accuracy: {min: 0.5}, prefer: size}",
        recipe=DOCSTRINGS,
    )
    assert ended.status == 0, ended.stderr
    arms = ended.summary["arms"]
    assert arms["teacher"]["parameters"] > 2 * arms["student"]["parameters"]
    for name in ("teacher", "student", "hard_label", "pseudo_label"):
        assert arms[name]["accuracy"] > 0.6  # the most frequent class: .27
    (listing,) = ended.output.glob("pipeline/*/compress-student/candidates/candidates.json")
    made = json.loads(listing.read_text())
    assert [one["name"] for one in made["candidates"]] == [*CANDIDATES]
    assert not made["skipped"]
    for name in CANDIDATES:
        session = ort.InferenceSession(listing.parent / name / "model.onnx")
        (found,) = session.run(None, {"input": np.zeros((3, LENGTH), dtype=np.float32)})
        np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-5)  # of texts without a word
    report = (ended.output / "report.html").read_text()
    assert "Transformer, vectors of 16, layers 1, heads 2, hidden 32" in report

"""Models of other libraries: small ones, from folders that the libraries themselves wrote."""

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file
from torch import Tensor

from components.shared.bundle import load_network, save_bundle
from components.shared.errors import UserError
from components.shared.networks import Classifier
from components.shared.networks.checking import check_model
from components.shared.networks.settling import settled
from components.shared.preprocessing import Preprocessing
from components.shared.recipe import (
    FileTokenizer,
    HashTokenizer,
    ImageInput,
    TextInput,
    TrainingSpec,
    load_recipe,
)
from components.shared.recipe.inputs import InputSpec
from components.shared.recipe.library_models import SentenceEncoderSpec, TimmSpec, TransformersSpec
from components.shared.recipe.models import ModelSpec
from components.shared.training.objectives import cross_entropy
from components.shared.training.rows import MemoryRows
from components.shared.training.trainer import fit
from components.training.embeddings import what_learns
from tests.command_line import ROOT

IDS = 20
TEXT = TextInput(
    kind="text",
    length=6,
    tokenizer=FileTokenizer(kind="file", uri="tokenizer.json", sha256="0" * 64, size=IDS + 1),
)
HASHED = TEXT.model_copy(update={"tokenizer": HashTokenizer(buckets=IDS)})
IMAGE = ImageInput(kind="image", size=[1, 8, 8])
PLAIN = Preprocessing(mean=[0.0], std=[1.0])
TEXTS = torch.tensor([[1.0, 5, 20, 3, 0, 0], [2, 2, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0]])
SMALL = {
    "hidden_size": 8,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 8,
}


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bert")
    config = transformers.BertConfig(vocab_size=IDS, max_position_embeddings=16, **SMALL)
    torch.manual_seed(5)
    transformers.BertModel(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def vit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("vit")
    transformers.ViTConfig(image_size=8, patch_size=4, num_channels=3, **SMALL).save_pretrained(
        folder
    )
    return folder


def build(spec: ModelSpec, taken: InputSpec = TEXT, classes: int = 3) -> Classifier:
    return Classifier.build(spec, taken, PLAIN, classes).eval()


def through_a_bundle(spec: ModelSpec, taken: InputSpec, folder: Path) -> tuple[Classifier, Any]:
    network = build(spec, taken)
    save_bundle(
        folder,
        network,
        role="teacher",
        model=spec,
        input=taken,
        preprocessing=PLAIN,
        classes=["a", "b", "c"],
        seed=0,
        dataset_digest="d" * 64,
        soft_labels_digest=None,
        selection=None,
        curve=[],
    )
    return network, lambda: load_network(folder)[1]


def test_pretrained_model_of_texts_starts_from_its_weights_and_can_be_deployed(bert: Path) -> None:
    spec = TransformersSpec(family="transformers", folder=str(bert))
    network = build(spec)
    kept = transformers.BertModel.from_pretrained(bert).embeddings.word_embeddings.weight
    assert torch.equal(network.body.model.bert.embeddings.word_embeddings.weight, kept)
    check_model(lambda: build(spec), TEXTS, 3)


def test_text_model_computes_what_its_library_does(bert: Path) -> None:
    network = build(TransformersSpec(family="transformers", folder=str(bert)))
    ids = torch.tensor([[0, 4, 19, 2]])
    with torch.inference_mode():
        expected = network.body.model(input_ids=ids, attention_mask=torch.ones(1, 4)).logits
        found = network(TEXTS[:1])
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


def test_model_of_images_is_made_from_its_configuration_and_can_be_deployed(vit: Path) -> None:
    spec = TransformersSpec(
        family="transformers", folder=str(vit), pretrained=False, settings={"num_channels": 1}
    )
    check_model(lambda: build(spec, IMAGE), torch.rand(3, 1, 8, 8), 3)
    with pytest.raises(UserError, match=r"images of 3 channels.* set settings: {num_channels: 1}"):
        build(spec.model_copy(update={"settings": {}}), IMAGE)


@pytest.mark.parametrize("family", ["transformers", "sentence_encoder"])
def test_bundle_needs_no_folder_any_more(tmp_path: Path, bert: Path, family: str) -> None:
    folder = shutil.copytree(bert, tmp_path / "bert")
    kind = TransformersSpec if family == "transformers" else SentenceEncoderSpec
    spec = settled(kind(family=family, folder=str(folder)))  # type: ignore[arg-type]
    network, load = through_a_bundle(spec, TEXT, tmp_path / "bundle")
    shutil.rmtree(folder)
    assert torch.equal(load()(TEXTS), network(TEXTS))


def test_vocabulary_of_a_model_that_starts_anew_is_the_datas(bert: Path) -> None:
    spec = TransformersSpec(family="transformers", folder=str(bert), pretrained=False)
    wide = HASHED.model_copy(update={"tokenizer": HashTokenizer(buckets=99)})
    assert build(spec, wide)(TEXTS + 79).shape == (3, 3)


def embedded(network: Classifier, ids: list[int]) -> Tensor:
    row = torch.tensor([[*ids, *[0] * (TEXT.length - len(ids))]])
    return network.body.encoder(row)  # type: ignore[no-any-return, union-attr, operator]


def test_embedding_is_the_mean_of_the_tokens_there_are(bert: Path) -> None:
    network = build(SentenceEncoderSpec(family="sentence_encoder", folder=str(bert)))
    states = transformers.BertModel.from_pretrained(bert)(torch.tensor([[0, 4, 19]]))
    mean = states.last_hidden_state.mean(dim=1)
    found = embedded(network, [1, 5, 20])
    expected = mean / mean.square().mean().sqrt()
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)
    assert not embedded(network, []).any()


def test_head_learns_from_embeddings_what_it_would_from_texts(bert: Path) -> None:
    spec = SentenceEncoderSpec(family="sentence_encoder", folder=str(bert), hidden=[8])
    labels = torch.tensor([0, 1, 2])
    rows = MemoryRows(TEXTS, labels, (), torch.arange(3))

    def trained(shortened: bool) -> Classifier:
        torch.manual_seed(0)
        network = build(spec)
        fit(
            *(what_learns(network, rows) if shortened else (network, rows)),
            lambda logits, batch, _progress: cross_entropy(logits, batch.labels),
            TrainingSpec(steps=30, batch_size=3, learning_rate=3e-2),
            seed=0,
            label="head",
        )
        return network.eval()

    before, short, whole = build(spec), trained(shortened=True), trained(shortened=False)
    assert torch.equal(short(TEXTS).argmax(dim=1), labels)
    torch.testing.assert_close(short(TEXTS), whole(TEXTS), rtol=0, atol=1e-4)
    for name, tensor in before.body.encoder.state_dict().items():
        assert torch.equal(tensor, short.body.encoder.state_dict()[name]), name
        assert torch.equal(tensor, whole.body.encoder.state_dict()[name]), name


@pytest.mark.parametrize(
    ("spec", "taken", "expected"),
    [
        ({"folder": "BERT"}, HASHED, r"set data.input.tokenizer to {kind: file, .*tokenizer.json"),
        ({"folder": "BERT"}, TEXT.model_copy(update={"length": 17}), "takes up to 16 tokens"),
        ({"folder": "/nowhere"}, TEXT, "no /nowhere that can be used here"),
        ({"name": "nobody/nothing"}, TEXT, "no nobody/nothing that can be used here"),
    ],
)
@pytest.mark.parametrize("family", ["transformers", "sentence_encoder"])
def test_model_that_does_not_fit_or_is_not_there_is_refused(
    bert: Path, family: str, spec: dict[str, str], taken: InputSpec, expected: str
) -> None:
    kind: Any = TransformersSpec if family == "transformers" else SentenceEncoderSpec
    places = {key: str(bert) if value == "BERT" else value for key, value in spec.items()}
    with pytest.raises(UserError, match=f"^model: .*{expected}"):
        build(kind(family=family, **places), taken)


def test_weights_that_are_pickled_are_not_read(bert: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(bert, tmp_path / "bert")
    (folder / "model.safetensors").unlink()
    torch.save({}, folder / "pytorch_model.bin")
    with pytest.raises(UserError, match="model.safetensors"):
        build(TransformersSpec(family="transformers", folder=str(folder)))


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"num_hidden_layer": 1}, "no setting num_hidden_layer; did you mean num_hidden_layers"),
        ({"return_unused_kwargs": True}, "no .* that can be used here"),
        ({"hidden_size": 16}, "no weights, or some of another shape, for bert.embeddings"),
        ({"num_hidden_layers": 2}, "no weights, .* for bert.encoder.layer.1"),
    ],
)
def test_settings_that_pretrained_weights_do_not_fit_are_refused(
    bert: Path, settings: dict[str, Any], expected: str
) -> None:
    spec = TransformersSpec(family="transformers", folder=str(bert), settings=settings)
    with pytest.raises(UserError, match=f"^model.*{expected}"):
        build(spec)


def test_encoder_without_all_of_its_weights_is_refused(bert: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(bert, tmp_path / "bert")
    weights = load_file(folder / "model.safetensors")
    pooler = {name: tensor for name, tensor in weights.items() if "pooler" in name}
    kept = {name: tensor for name, tensor in weights.items() if name not in pooler}
    spec = SentenceEncoderSpec(family="sentence_encoder", folder=str(folder))
    save_file(kept, folder / "model.safetensors", {"format": "pt"})
    assert build(spec)(TEXTS).isfinite().all(), "the pooler is of no use"
    kept.pop("encoder.layer.0.output.dense.weight")
    save_file(kept, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(UserError, match="for encoder.layer.0.output.dense.weight and 0 more"):
        build(spec)


@pytest.mark.parametrize(
    ("library", "spec", "taken", "expected"),
    [
        (
            "transformers",
            TransformersSpec(family="transformers", name="a/b"),
            TEXT,
            "transformers needs the library transformers .*kubedistill.transformers.",
        ),
        (
            "timm",
            TimmSpec(family="timm", name="resnet18", pretrained=False),
            IMAGE,
            "timm needs the libraries timm and torchvision .*kubedistill.timm.",
        ),
    ],
)
def test_missing_library_is_one_clear_error(
    monkeypatch: pytest.MonkeyPatch, library: str, spec: ModelSpec, taken: InputSpec, expected: str
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(UserError, match=f"^model.family: {expected}"):
        build(spec, taken)


def test_timm_folder_has_the_architecture(tmp_path: Path) -> None:
    spec = TimmSpec(family="timm", folder=str(tmp_path))
    with pytest.raises(UserError, match="config.json is not a configuration as timm writes it"):
        settled(spec)
    (tmp_path / "config.json").write_text('{"architecture": "resnet18"}')
    assert settled(spec).found == {"architecture": "resnet18", "model_args": {}}  # type: ignore[union-attr]


@pytest.mark.parametrize("name", ["checkpoint_path", "pretrained_cfg"])
def test_timm_model_cannot_be_told_of_weights_that_may_be_pickles(
    tmp_path: Path, name: str
) -> None:
    said = {name: "weights.pth"}
    expected = f"{name} says where weights are"
    with pytest.raises(ValueError, match=expected):
        TimmSpec(family="timm", name="resnet18", settings=said)
    found: Any = {"architecture": "resnet18", "model_args": said}
    with pytest.raises(ValueError, match=expected):
        TimmSpec(family="timm", name="resnet18", found=found)
    (tmp_path / "config.json").write_text(json.dumps(found))
    with pytest.raises(UserError, match=expected):
        settled(TimmSpec(family="timm", folder=str(tmp_path)))


def test_folder_is_relative_to_the_recipe(tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text((ROOT / "pipelines" / "recipes" / "docstrings.yaml").read_text())
    model = "{family: sentence_encoder, folder: minilm}"
    found = load_recipe(recipe, [f"teacher.model={model}"])
    assert found.teacher.model.folder == "minilm"  # type: ignore[union-attr]
    text = recipe.read_text().replace("{family: bag, dims: 64, hidden: [64], dropout: 0.3}", model)
    recipe.write_text(text)
    found = load_recipe(recipe, absolute_paths=True)
    assert found.teacher.model.folder == str(tmp_path / "minilm")  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("{family: transformers}", "needs either a name or a folder"),
        ("{family: transformers, name: a, folder: b}", "needs either a name or a folder"),
        ("{family: sentence_encoder, folder: 's3://a/b'}", "should be a path that the steps see"),
        ("{family: timm, name: resnet18}", "model.family is timm, but data.input.kind is text"),
    ],
)
def test_recipe_says_what_is_wrong_with_a_model(model: str, expected: str) -> None:
    with pytest.raises(UserError, match=expected):
        load_recipe(ROOT / "pipelines" / "recipes" / "docstrings.yaml", [f"student.model={model}"])

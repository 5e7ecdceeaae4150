"""Models of the library transformers, as networks that take what all others take.

Weights are read as safetensors, and no code from a model's folder is run.
"""

import difflib
import math
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own idiom
from torch import Tensor, nn

from components.shared.errors import UserError
from components.shared.networks.libraries import of_library, stay_offline
from components.shared.recipe.inputs import InputSpec, TextInput
from components.shared.recipe.library_models import (
    LibraryModelSpec,
    SentenceEncoderSpec,
    TransformersSpec,
)

_IGNORED = -1e4
"""Added to the score of what is no token; see the built-in transformer."""
_PLAIN = {"attn_implementation": "eager", "trust_remote_code": False}
"""The attention that is exported as it is computed."""


def configuration(spec: LibraryModelSpec) -> dict[str, Any]:
    """The configuration of a model, with the changes that the recipe makes to it.

    Raises:
        UserError: the library or the model cannot be had, or it has no such setting.
    """
    library = _library(spec)
    settings = spec.settings if isinstance(spec, TransformersSpec) else {}
    with of_library("transformers", spec):
        config, unknown = library.AutoConfig.from_pretrained(
            spec.place,
            local_files_only=stay_offline(),
            trust_remote_code=False,
            return_unused_kwargs=True,
            **settings,
        )
    _check_known(spec, config, [name for name in settings if name in unknown])
    left_out = ("_name_or_path", "transformers_version", "architectures", "auto_map")
    found = config.to_diff_dict()
    return {key: value for key, value in found.items() if key not in left_out}


def transformers_classifier(
    spec: TransformersSpec,
    shape: tuple[int, ...],
    classes: int,
    input_spec: InputSpec,
    pretrained: bool,
) -> nn.Module:
    """A classifier.

    Args:
        spec: with its configuration.
        shape: of one prepared row.
        classes: how many there are.
        input_spec: what a row is.
        pretrained: whether weights are read.

    Raises:
        UserError: it cannot be had, or does not fit the input.
    """
    library, config = _library(spec), _config(spec)
    config.num_labels = classes
    if isinstance(input_spec, TextInput):
        _fit_tokens(spec, config, input_spec)
        model = library.AutoModelForSequenceClassification
        return _OfTexts(_made(spec, model, config, spec.pretrained, pretrained))
    channels = getattr(config, "num_channels", shape[0])
    if channels != shape[0]:
        raise UserError(
            f"model: {spec.place} takes images of {channels} channels, and the data's have "
            f"{shape[0]}; set settings: {{num_channels: {shape[0]}}}"
            + (" and pretrained: false" if spec.pretrained else "")
        )
    model = library.AutoModelForImageClassification
    return _OfImages(_made(spec, model, config, spec.pretrained, pretrained))


def sentence_encoder(
    spec: SentenceEncoderSpec, classes: int, input_spec: InputSpec, pretrained: bool
) -> "SentenceClassifier":
    """An encoder that stays as it is, with a head; arguments as for a classifier.

    Raises:
        UserError: it cannot be had, or does not fit the input.
    """
    if not isinstance(input_spec, TextInput):
        raise UserError(f"model: a sentence encoder takes text, not {input_spec.in_words}")
    library, config = _library(spec), _config(spec)
    _fit_tokens(spec, config, input_spec)
    with torch.random.fork_rng([]):  # so that the head does not depend on what is replaced
        encoder = _made(spec, library.AutoModel, config, True, pretrained)
    return SentenceClassifier(encoder, config.hidden_size, spec, classes)


class _OfTexts(nn.Module):
    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, ids: Tensor) -> Tensor:
        """Logits, shape (rows, classes), for ids of shape (rows, length), 0 for padding."""
        logits: Tensor = self.model(**_tokens(ids)).logits
        return logits


class _OfImages(nn.Module):
    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> Tensor:
        """Logits, shape (rows, classes), for images of shape (rows, channels, height, width)."""
        logits: Tensor = self.model(pixel_values=images).logits
        return logits


class SentenceEncoder(nn.Module):
    """Embeddings of texts by a model that stays as it is, also while others train."""

    def __init__(self, model: nn.Module, dims: int) -> None:
        super().__init__()
        self.model = model.requires_grad_(False).eval()
        self.dims = dims

    def train(self, mode: bool = True) -> "SentenceEncoder":
        """It has no other mode than that of evaluation."""
        del mode
        return super().train(False)

    def forward(self, ids: Tensor) -> Tensor:
        """Shape (rows, dims), for ids of shape (rows, length), 0 for padding; zero for a text
        without tokens."""
        states = self.model(**_tokens(ids)).last_hidden_state
        known = (ids > 0).to(states.dtype).unsqueeze(2)
        sums = (states * known).sum(dim=1)
        scaled: Tensor = math.sqrt(self.dims) * F.normalize(sums, dim=1)
        return scaled


class SentenceClassifier(nn.Module):
    """A frozen encoder and a head."""

    def __init__(
        self, model: nn.Module, dims: int, spec: SentenceEncoderSpec, classes: int
    ) -> None:
        super().__init__()
        self.encoder = SentenceEncoder(model, dims)
        widths = [dims, *spec.hidden]
        layers: list[nn.Module] = [nn.Dropout(spec.dropout)]
        for before, after in pairwise(widths):
            layers += [nn.Linear(before, after), nn.GELU(), nn.Dropout(spec.dropout)]
        self.head = nn.Sequential(*layers, nn.Linear(widths[-1], classes))

    def forward(self, ids: Tensor) -> Tensor:
        """Logits, shape (rows, classes), for ids of shape (rows, length), 0 for padding."""
        logits: Tensor = self.head(self.encoder(ids))
        return logits


def _tokens(ids: Tensor) -> dict[str, Tensor]:
    """What the library's models take: ids from 0 on, and what is added to the scores of attention.

    From a mask of shape (rows, length) the library would make that in ways that the exporter cannot
    follow.
    """
    known = (ids > 0).to(torch.float32)
    mask = (_IGNORED * (1 - known)).unsqueeze(1).unsqueeze(1)
    return {"input_ids": (ids - 1).clamp(min=0), "attention_mask": mask}


def _config(spec: LibraryModelSpec) -> Any:
    found = dict(configuration(spec) if spec.found is None else spec.found)
    with of_library("transformers", spec):
        return _library(spec).AutoConfig.for_model(found.pop("model_type"), **found)


def _fit_tokens(spec: LibraryModelSpec, config: Any, taken: TextInput) -> None:
    """Refuse, or make room for, the tokens of the data."""
    ids = taken.tokenizer.vocabulary - 1
    if isinstance(spec, TransformersSpec) and not spec.pretrained:
        config.vocab_size = ids
    elif taken.tokenizer.kind != "file" or ids > config.vocab_size:
        raise UserError(
            f"model: {spec.place} knows {config.vocab_size:,} tokens of its own tokenizer, and "
            f"not the {ids:,} ids of the data; set data.input.tokenizer to {{kind: file, uri: …}} "
            "with its tokenizer.json"
        )
    most = getattr(config, "max_position_embeddings", taken.length)
    if taken.length > most:
        raise UserError(
            f"model: {spec.place} takes up to {most} tokens, and data.input.length is "
            f"{taken.length}; lower it"
        )


def _made(spec: LibraryModelSpec, kind: Any, config: Any, wanted: bool, pretrained: bool) -> Any:
    with of_library("transformers", spec):
        if not (wanted and pretrained):
            return kind.from_config(config, **_PLAIN, dtype=torch.float32)
        model, read = kind.from_pretrained(
            spec.place,
            config=config,
            local_files_only=stay_offline(),
            use_safetensors=True,
            ignore_mismatched_sizes=True,
            output_loading_info=True,
            dtype=torch.float32,
            **_PLAIN,
        )
    mismatched = (name for name, *_ in read["mismatched_keys"])
    _check_read(spec, model, [*read["missing_keys"], *mismatched])
    return model


def _check_known(spec: LibraryModelSpec, config: Any, unknown: list[str]) -> None:
    """The library would pass over them without a word."""
    if unknown:
        near = difflib.get_close_matches(unknown[0], config.to_dict(), n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise UserError(f"model.settings: {spec.place} has no setting {unknown[0]}{hint}")


def _check_read(spec: LibraryModelSpec, model: Any, random: list[str]) -> None:
    """Only what is over the pretrained model may start from random weights: the layers that make
    the classes, and a pooler, which some models are published without."""
    inside = "" if model.base_model is model else f"{model.base_model_prefix}."
    lost = sorted(name for name in random if name.startswith(inside) and "pooler" not in name)
    if lost:
        raise UserError(
            f"model: {spec.place} has no weights, or some of another shape, for {lost[0]} and "
            f"{len(lost) - 1} more, which would start from random ones; leave out settings that "
            "change its shape, or take another model"
        )


def _library(spec: LibraryModelSpec) -> Any:
    stay_offline()
    try:
        import transformers
    except ImportError as error:
        raise UserError(
            f"model.family: {spec.family} needs the library transformers where the steps run "
            f"({error}); install kubedistill[transformers]"
        ) from error
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    return transformers

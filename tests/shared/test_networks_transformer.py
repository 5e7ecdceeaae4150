"""The transformer: it is the encoder of the papers, and sees what a bag of tokens cannot."""

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from torch import Tensor, nn

from components.shared.networks import Classifier, Encoder
from components.shared.preprocessing import Preprocessing
from components.shared.recipe import HashTokenizer, TabularInput, TextInput, TransformerSpec
from components.shared.recipe.models import BagSpec, ModelSpec

NO_SCALE = Preprocessing(mean=[], std=[])
BUCKETS = 50
SMALL: dict[str, Any] = {"family": "transformer", "dims": 8, "heads": 2, "layers": 2, "hidden": 12}


pytestmark = pytest.mark.usefixtures("one_thread")


def build(model: ModelSpec, length: int = 6, classes: int = 3) -> Classifier:
    torch.manual_seed(0)
    text = TextInput(kind="text", length=length, tokenizer=HashTokenizer(buckets=BUCKETS))
    return Classifier.build(model, text, NO_SCALE, classes).eval()


def learned(length: int = 6, **fields: Any) -> Classifier:
    """With weights that are all other than at the start."""
    network = build(TransformerSpec.model_validate({**SMALL, **fields}), length)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=0.3)
        network.body[0].vectors.weight[0] = 0
    return network


def ids(*rows: list[int], length: int = 6) -> Tensor:
    return torch.tensor([[*row, *[0] * (length - len(row))] for row in rows], dtype=torch.float32)


def reference(network: Classifier, rows: Tensor, heads: int) -> Tensor:
    """The same by torch's own encoder, in float64."""
    encoder, _, head = network.body
    layers = []
    for layer in encoder.layers:
        attention, feed_forward = layer.attention, layer.feed_forward
        made = nn.TransformerEncoderLayer(
            encoder.vectors.embedding_dim,
            heads,
            feed_forward.inner.out_features,
            dropout=0.0,
            activation="gelu",
            batch_first=True,
            norm_first=True,
        )
        projections = (attention.query, attention.key, attention.value)
        state = {
            "self_attn.in_proj_weight": torch.cat([part.weight for part in projections]),
            "self_attn.in_proj_bias": torch.cat([part.bias for part in projections]),
        }
        names = {
            "self_attn.out_proj": attention.output,
            "linear1": feed_forward.inner,
            "linear2": feed_forward.output,
            "norm1": layer.before_attention,
            "norm2": layer.before_feed_forward,
        }
        for name, part in names.items():
            state |= {f"{name}.weight": part.weight, f"{name}.bias": part.bias}
        made.load_state_dict(state)
        layers.append(made.double().eval())
    padding = rows == 0
    tokens = (encoder.vectors.weight[rows.long()] + encoder.positions).double()
    for layer in layers:
        tokens = layer(tokens, src_key_padding_mask=padding)
    norm = encoder.norm
    tokens = nn.functional.layer_norm(
        tokens, norm.normalized_shape, norm.weight.double(), norm.bias.double()
    )
    tokens = tokens.masked_fill(padding.unsqueeze(2), 0)
    mean = tokens.sum(dim=1) / (~padding).sum(dim=1, keepdim=True)
    return mean @ head.weight.double().T + head.bias.double()


@settings(max_examples=12)
@given(
    st.integers(1, 3),
    st.integers(1, 4),
    st.integers(1, 2),
    st.integers(1, 9),
    st.lists(st.integers(1, 9), min_size=1, max_size=4),
)
def test_logits_are_those_of_torchs_encoder(
    heads: int, width: int, layers: int, hidden: int, lengths: list[int]
) -> None:
    network = learned(9, dims=heads * width, heads=heads, layers=layers, hidden=hidden)
    generator = torch.Generator().manual_seed(len(lengths))
    texts = [torch.randint(1, BUCKETS + 1, (n,), generator=generator).tolist() for n in lengths]
    rows = ids(*texts, length=9)
    with torch.no_grad():
        found, expected = network(rows), reference(network, rows, heads)
    torch.testing.assert_close(found.double(), expected, rtol=1e-4, atol=1e-4)


def test_parameters_are_counted() -> None:
    attention, feed_forward, norm = 4 * (8 * 8 + 8), (8 * 12 + 12) + (12 * 8 + 8), 2 * 8
    layer = attention + feed_forward + 2 * norm
    whole = (BUCKETS + 1) * 8 + 6 * 8 + 2 * layer + norm + (8 * 3 + 3)
    assert learned().parameter_count == whole


def test_padding_changes_nothing() -> None:
    network = learned()
    before = network(ids([4, 9], [7]))
    with torch.no_grad():
        network.body[0].vectors.weight[0] = 100
        network.body[0].positions[2:] = 100
    torch.testing.assert_close(network(ids([4, 9], [7])), before)


def test_rows_of_a_batch_do_not_change_each_other() -> None:
    network, rows = learned(), ids([4, 9], [7, 1, 1], [])
    one_by_one = torch.cat([network(row[None]) for row in rows])
    torch.testing.assert_close(network(rows), one_by_one)


def test_text_without_any_token_is_of_the_class_of_the_bias_and_teaches_no_nan() -> None:
    network = learned()
    logits = network(ids([], [3]))
    torch.testing.assert_close(logits[0], network.body[-1].bias)
    logits.sum().backward()
    assert all(part.grad is None or part.grad.isfinite().all() for part in network.parameters())


def test_token_that_training_never_saw_says_no_more_than_that_there_is_one() -> None:
    network = build(TransformerSpec.model_validate(SMALL))
    first, second, fewer = network(ids([1, 2], [3, 4], [3]))
    torch.testing.assert_close(first, second)
    assert not torch.allclose(first, fewer)


def rows_where_order_matters(count: int) -> tuple[Tensor, Tensor]:
    """Permutations of four tokens; the class is which of the first two comes first."""
    generator = torch.Generator().manual_seed(2)
    rows = torch.stack([torch.randperm(4, generator=generator) + 1 for _ in range(count)])
    places = rows.argsort(dim=1)
    return rows.float(), (places[:, 0] < places[:, 1]).long()


@pytest.mark.parametrize(
    ("model", "learns"),
    [
        (TransformerSpec(family="transformer", dims=16, heads=2, layers=1, hidden=32), True),
        (BagSpec(family="bag", dims=16, hidden=[32]), False),
    ],
    ids=["transformer", "bag"],
)
def test_order_of_tokens_is_learned_by_the_transformer_alone(
    model: ModelSpec, learns: bool
) -> None:
    network = build(model, length=4, classes=2).train()
    rows, labels = rows_where_order_matters(64)
    optimizer = torch.optim.AdamW(network.parameters(), lr=0.01)
    for _ in range(60):
        loss = nn.functional.cross_entropy(network(rows), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    accuracy = (network(rows).argmax(dim=1) == labels).float().mean()
    assert accuracy > 0.95 if learns else accuracy < 0.7


def test_heads_must_share_the_width() -> None:
    with pytest.raises(ValidationError, match="dims is 10, which 4 heads cannot share"):
        TransformerSpec(family="transformer", dims=10, heads=4)


def test_transformer_is_refused_what_is_no_text() -> None:
    with pytest.raises(ValueError, match="a transformer takes text, not the columns a"):
        Classifier.build(
            TransformerSpec(family="transformer"), TabularInput(columns=["a"]), NO_SCALE, 3
        )


def test_encoder_gives_zero_for_a_text_without_any_token() -> None:
    encoder = learned().body[0]
    assert isinstance(encoder, Encoder)
    assert not encoder(ids([]).long()).any()

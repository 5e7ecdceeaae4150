"""The transformer encoder for texts.

Fully connected layers take one row a token, so that the exporter writes each as one operator, as it
does those of all other families.
"""

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own idiom
from torch import Tensor, nn

from components.shared.recipe.models import TransformerSpec

_IGNORED = -1e4
"""Added to the score of what is no token: nothing is left of it after the softmax, and float16 has
it. Minus infinity would make NaN of a text without any token."""
_SPREAD = 0.02
"""Standard deviation of positions at the start, as in BERT (Devlin et al., arXiv 1810.04805)."""


class Attention(nn.Module):
    """Multi-head attention among the tokens of a text, Vaswani et al., arXiv 1706.03762, 3.2.2."""

    def __init__(self, dims: int, heads: int, length: int) -> None:
        super().__init__()
        self._tokens = (-1, length, dims)
        self._heads = (-1, length, heads, dims // heads)
        self._scale = (dims // heads) ** -0.5  # the default, which the exporter takes for unknown
        self.query = nn.Linear(dims, dims)
        self.key = nn.Linear(dims, dims)
        self.value = nn.Linear(dims, dims)
        self.output = nn.Linear(dims, dims)

    def forward(self, tokens: Tensor, ignored: Tensor) -> Tensor:
        """Shape (rows, length, dims), as that of ``tokens``.

        Args:
            tokens: what attends.
            ignored: added to the scores, shape (rows, 1, 1, length).
        """
        flat = tokens.reshape(-1, self._tokens[2])
        query, key, value = (
            layer(flat).reshape(self._heads).transpose(1, 2)
            for layer in (self.query, self.key, self.value)
        )
        found = F.scaled_dot_product_attention(
            query, key, value, attn_mask=ignored, scale=self._scale
        )
        mixed: Tensor = self.output(found.transpose(1, 2).reshape(-1, self._tokens[2]))
        return mixed.reshape(self._tokens)


class FeedForward(nn.Module):
    """Two fully connected layers, of each token on its own."""

    def __init__(self, dims: int, hidden: int, length: int) -> None:
        super().__init__()
        self._tokens = (-1, length, dims)
        self.inner = nn.Linear(dims, hidden)
        self.activation = nn.GELU()
        self.output = nn.Linear(hidden, dims)

    def forward(self, tokens: Tensor) -> Tensor:
        """Shape (rows, length, dims), as that of ``tokens``."""
        inner = self.activation(self.inner(tokens.reshape(-1, self._tokens[2])))
        outputs: Tensor = self.output(inner).reshape(self._tokens)
        return outputs


class EncoderLayer(nn.Module):
    """Attention and feed-forward part, each normalised first and added to what came in."""

    def __init__(self, spec: TransformerSpec, length: int) -> None:
        super().__init__()
        self.before_attention = nn.LayerNorm(spec.dims)
        self.attention = Attention(spec.dims, spec.heads, length)
        self.before_feed_forward = nn.LayerNorm(spec.dims)
        self.feed_forward = FeedForward(spec.dims, spec.hidden, length)
        self.dropout = nn.Dropout(spec.dropout)

    def forward(self, tokens: Tensor, ignored: Tensor) -> Tensor:
        """Shape (rows, length, dims), as that of ``tokens``; ``ignored`` as for the attention."""
        attended = self.attention(self.before_attention(tokens), ignored)
        tokens = tokens + self.dropout(attended)
        changed = self.feed_forward(self.before_feed_forward(tokens))
        outputs: Tensor = tokens + self.dropout(changed)
        return outputs


class Encoder(nn.Module):
    """The mean of what a text's tokens have become; zero for a text without any.

    Vectors of tokens start as zero, as those of a bag do: a token that training never saw says no
    more than that there is one.
    """

    def __init__(self, spec: TransformerSpec, vocabulary: int, length: int) -> None:
        super().__init__()
        self._scores = (-1, 1, 1, length)
        self.vectors = nn.Embedding(vocabulary, spec.dims, padding_idx=0)
        nn.init.zeros_(self.vectors.weight)
        self.positions = nn.Parameter(_SPREAD * torch.randn(length, spec.dims))
        self.dropout = nn.Dropout(spec.dropout)
        self.layers = nn.ModuleList(EncoderLayer(spec, length) for _ in range(spec.layers))
        self.norm = nn.LayerNorm(spec.dims)

    def forward(self, ids: Tensor) -> Tensor:
        """Shape (rows, dims), for ids of shape (rows, length), 0 for padding."""
        known = (ids > 0).to(self.positions.dtype).unsqueeze(2)
        ignored = (_IGNORED * (1 - known)).reshape(self._scores)
        tokens = self.dropout(self.vectors(ids) + self.positions)
        for layer in self.layers:
            tokens = layer(tokens, ignored)
        mean: Tensor = (self.norm(tokens) * known).sum(dim=1) / known.sum(dim=1).clamp(min=1)
        return mean


def transformer(spec: TransformerSpec, vocabulary: int, length: int, classes: int) -> nn.Module:
    """Logits of token ids, shape (rows, length)."""
    return nn.Sequential(
        Encoder(spec, vocabulary, length), nn.Dropout(spec.dropout), nn.Linear(spec.dims, classes)
    )

"""What a model is shown of a batch of rows."""

import numpy as np
import torch
from torch import Tensor

from components.shared.soft_labels import Views
from components.shared.training.augmentation.bits import random_bits
from components.shared.training.augmentation.views import mixed_view, own_shares, view_of
from components.shared.training.rows.protocol import Batch, Mixed


def shown(
    batch: Batch, seed: int, views: Views, share: slice = slice(None)
) -> tuple[Tensor, Batch]:
    """A view of a batch's rows, and the batch, which knows now what was mixed.

    Args:
        batch: plain rows, with partners where the view mixes them.
        seed: of the view.
        views: how it is made.
        share: which rows of the batch its inputs are of.

    Returns:
        The inputs to show, of the shape of the batch's, and the batch.
    """
    own = batch.positions[share].numpy()
    partners = batch.partners
    if partners is None:
        return view_of(batch.inputs, own, seed, views), batch
    positions = partners.positions[share].numpy()
    inputs = mixed_view(batch.inputs, own, partners.inputs, positions, seed, views)
    plain = partners.alone[share].to(inputs.device).view(-1, *[1] * (inputs.dim() - 1))
    found = own_shares(inputs.shape[1:], batch.positions.numpy(), seed, views)
    shares = torch.from_numpy(found.astype(np.float32)).masked_fill(partners.alone, 1.0)
    mixed = Mixed(partners.labels, shares.to(inputs.device))
    return torch.where(plain, batch.inputs, inputs), batch._replace(partners=None, mixed=mixed)


def seed_of_step(seed: int, step: int) -> int:
    """The seed of the view that is shown in a step of a training.

    Args:
        seed: of the training.
        step: counted from 0.
    """
    return int(random_bits(seed, np.asarray([step]))[0])

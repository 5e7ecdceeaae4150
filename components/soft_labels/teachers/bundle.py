"""A model bundle as a teacher."""

from pathlib import Path

import torch

from components.shared.bundle import ModelBundle, load_network
from components.shared.device import compute_device
from components.shared.files import digest_of
from components.shared.networks import Classifier
from components.shared.recipe.inputs import InputSpec
from components.soft_labels.teachers.protocol import Array


class BundleTeacher:
    """A network of one of the built-in families."""

    def __init__(self, bundle: ModelBundle, network: Classifier) -> None:
        self.digest: str = bundle.digest
        self.classes: list[str] = bundle.classes
        self.input: InputSpec = bundle.input
        self.preprocessing_digest: str = digest_of(
            [bundle.input.model_dump(mode="json"), bundle.preprocessing.model_dump(mode="json")]
        )
        self._device = compute_device()
        self._network = network.to(self._device)

    @classmethod
    def open(cls, folder: Path, digest: str) -> "BundleTeacher":
        """Read a bundle with its weights.

        Raises:
            UserError: it is damaged, or another one than expected.
        """
        return cls(*load_network(folder, digest))

    @torch.inference_mode()
    def logits(self, inputs: Array) -> Array:
        """Logits of shape (rows, classes) for raw inputs of shape (rows, \\*input shape)."""
        outputs: Array = self._network(torch.from_numpy(inputs).to(self._device)).cpu().numpy()
        return outputs

"""The model card: what a version is for, what was measured of it, and what nobody knows."""

from components.registration.card.document import (
    DESCRIPTION_LENGTH,
    MODEL_CARD,
    model_card,
    version_description,
)

__all__ = ["DESCRIPTION_LENGTH", "MODEL_CARD", "model_card", "version_description"]

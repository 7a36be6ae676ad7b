"""How a synthetic image is composed: translated as a whole, or a real image that is edited."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path

import numpy as np

from strokereg.registry.errors import InputError


class Composition(StrEnum):
    """What becomes the image of a synthetic case."""

    TRANSLATED = "translated"  # the translation of its label map
    EDITED = "edited"  # its host's image, changed by what the new labels change in the translation
    BOTH = "both"  # each for half of the cases

    @property
    def words(self) -> str:
        """The name in tables."""
        return "translated and edited" if self is Composition.BOTH else str(self)


def edit_image(image: np.ndarray, before: np.ndarray, after: np.ndarray, head: np.ndarray) -> np.ndarray:
    """Add the difference of two translations to a real image, which keeps its texture, noise and shading.

    Args:
        image: of the host, float32 [units, C, *S] in [-1, 1].
        before, after: translations of the host's own labels and of the new ones, with the same noise, shaped alike.
        head: bool [units, *S]; background is set to -1.

    Returns:
        float32 [units, C, *S], clipped to [-1, 1].
    """
    return np.where(head[:, None], np.clip(image + (after - before), -1.0, 1.0), -1.0).astype(np.float32)


def refuse_edited(anatomies: Path | str | None, compose: Iterable[str]) -> None:
    """Check that what is to be edited has an image.

    Raises:
        InputError: public label maps, which have none, are to give edited cases.
    """
    wanted = [one for one in compose if one != Composition.TRANSLATED]
    if anatomies is not None and wanted:
        raise InputError(
            f"--compose {wanted[0]}: edits the image of each anatomy, and the label maps of --anatomies {anatomies} "
            "have none; leave out --anatomies, or take --compose translated"
        )

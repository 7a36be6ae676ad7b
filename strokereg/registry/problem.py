"""The sizes that a network is built for. Torch-free."""

from __future__ import annotations

from pydantic import Field

from strokereg.registry.options import Options


class Problem(Options):
    """Sizes that shape a network; the same object for every role.

    Args:
        dims: spatial dimensions, 2 or 3.
        labels: number of labels, including background and lesion; the lesion is the last.
        channels: number of image contrasts.
        size: spatial size in training, (Y, X) or (Z, Y, X) in voxels; a convolutional network can run other sizes.
    """

    dims: int = Field(default=2, ge=2, le=3)
    labels: int = Field(default=7, ge=3, le=255)
    channels: int = Field(default=1, ge=1)
    size: tuple[int, ...] = (64, 64)

    @property
    def lesion(self) -> int:
        """Index of the lesion label."""
        return self.labels - 1

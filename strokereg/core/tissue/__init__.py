"""Tissue label maps for cohorts without them: estimated from the images, or converted from another tool's maps."""

from enum import StrEnum


class Method(StrEnum):
    """How label maps are made."""

    MIXTURE = "mixture"  # intensities and location, for any contrast
    HMRF = "hmrf"  # intensities, neighbours and location
    KMEANS = "kmeans"  # intensities; location separates what they cannot
    ATLAS = "atlas"  # location alone
    EXTERNAL = "external"  # maps of another tool

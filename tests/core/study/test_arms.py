"""Which arms a study has, and what they share."""

from __future__ import annotations

from strokereg.core.study.arms import list_arms
from strokereg.core.study.compare import study_settings


def names(mixers=(), **changes):
    settings = study_settings("smoke", **changes)
    return [arm.name(settings) for arm in list_arms(settings, frozenset(mixers))]


def test_an_axis_is_named_only_where_it_varies():
    assert names(models=("spade",)) == ["clinical only", "spade, synthetic", "spade, clinical + synthetic"]
    several = names(models=("carvemix",), mixers=("carvemix",), shares=(0.2, 0.5), segmenters=("unet", "dynunet"))
    assert several == [
        "clinical only, unet",
        "carvemix, synthetic, unet",
        "carvemix, clinical + synthetic, 20% of each batch, unet",
        "carvemix, clinical + synthetic, 50% of each batch, unet",
        "clinical only, dynunet",
        "carvemix, synthetic, dynunet",
        "carvemix, clinical + synthetic, 20% of each batch, dynunet",
        "carvemix, clinical + synthetic, 50% of each batch, dynunet",
    ]


def test_arms_of_synthetic_images_alone_can_be_left_out():
    assert names(models=("spade",), mixed_only=True) == ["clinical only", "spade, clinical + synthetic"]


def test_public_priors_are_arms_of_their_own(tmp_path):
    found = names(
        models=("spade", "carvemix"), mixers=("carvemix",), generators=("mask-gan", "mask-warp"), anatomies=tmp_path
    )
    assert [name for name in found if "clinical +" in name] == [
        "spade, clinical + synthetic, mask-gan",
        "spade, clinical + synthetic, mask-warp",
        "spade, clinical + synthetic, public anatomies, mask-gan",
        "spade, clinical + synthetic, public anatomies, mask-warp",
        "carvemix, clinical + synthetic",
    ]
    both = names(models=("spade",), anatomies=tmp_path, mask_library=tmp_path)
    assert both[-1] == "spade, clinical + synthetic, public anatomies and masks"
    assert names(models=("spade",), mask_library=tmp_path)[-1] == "spade, clinical + synthetic, public masks"

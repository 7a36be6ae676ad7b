"""Settings of a study: presets, changes, typed options, and what is refused before the data are read."""

from __future__ import annotations

import sys

import pytest

from strokereg.core.study.settings import (
    PRESETS,
    architectures,
    complete_settings,
    merge,
    split_options,
    study_settings,
)
from strokereg.registry.errors import InputError


def test_changes_of_a_role_or_a_model_keep_the_rest_of_the_preset():
    settings = study_settings("smoke", models=("pix2pix",), steps={"segmenter": 7}, options={"pix2pix": {"lr": 1e-3}})
    preset = PRESETS["smoke"]
    assert settings.budgets["segmenter"].steps == 7
    assert settings.budgets["segmenter"].batch_size == preset["budgets"]["segmenter"]["batch_size"]
    assert settings.budgets["translator"].steps == preset["budgets"]["translator"]["steps"]
    assert settings.options["pix2pix"] == {**preset["options"]["pix2pix"], "lr": 1e-3}
    assert settings.cases == preset["cases"]


def test_what_does_not_exist_is_refused_with_a_near_miss():
    with pytest.raises(InputError, match=r"no preset 'smok' \(did you mean smoke"):
        study_settings("smok", models=())
    with pytest.raises(InputError, match=r"--steps segmentor: no such role \(did you mean segmenter"):
        study_settings("smoke", models=(), steps={"segmentor": 3})
    with pytest.raises(InputError, match="names the same thing twice"):
        study_settings("smoke", models=("spade", "spade"))
    with pytest.raises(InputError, match=r"--set spade\.…: spade is not in this study"):
        complete_settings(("carvemix",), None, "smoke", options={"spade": {"ngf": 4}})


def test_a_study_of_mixers_needs_no_generator():
    def names(*models, **changes):
        return list(architectures(study_settings("smoke", models=models, **changes)))

    assert names("carvemix") == ["carvemix", "unet"]
    assert names("carvemix", "spade") == ["carvemix", "spade", "mask-gan", "unet"]
    assert names("spade", mask_library=".") == ["spade", "mask-gan", "mask-library", "unet"]


def test_the_grid_is_no_finer_than_the_simulated_cohort():
    assert complete_settings(("carvemix",), "simulated", "quick").spacing == (4.0,) * 3
    assert complete_settings(("carvemix",), "cohort", "quick").spacing == (3.0,) * 3


def test_public_label_maps_cannot_be_edited(tmp_path):
    changes = {"models": ("spade",), "anatomies": tmp_path}
    assert study_settings("smoke", **changes, compose=("translated",)).compose == ("translated",)
    with pytest.raises(InputError, match="--compose edited: edits the image of each anatomy, and the label maps of"):
        study_settings("smoke", **changes, compose=("translated", "edited"))
    with pytest.raises(InputError, match="compose"):
        study_settings("smoke", models=("spade",), compose=("painted",))


def test_options_are_given_by_model():
    assert split_options({"pix2pix.lr": "1e-4"}, "spade") == {"pix2pix": {"lr": "1e-4"}}
    with pytest.raises(InputError, match=r"--set lr: say whose option it is, for example --set spade\.lr=1"):
        split_options({"lr": "1"}, "spade")


def test_later_settings_override_earlier_ones_table_by_table():
    kept = {"seeds": (0,), "options": {"unet": {"lr": 1, "widths": 2}}}
    given = {"seeds": None, "cases": (3,), "options": {"unet": {"lr": 5}, "spade": {"ngf": 4}}}
    assert merge(kept, given) == {
        "seeds": (0,),
        "cases": (3,),
        "options": {"unet": {"lr": 5, "widths": 2}, "spade": {"ngf": 4}},
    }


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"moton": 0.1}, r"budgets\.segmenter\.augment has no option 'moton' \(did you mean motion\?\)"),
        ({"motion": 1.5}, r"budgets\.segmenter\.augment: option motion=1\.5: Input should be less than or equal to 1"),
        ({"motion": 0.1}, r"budgets\.segmenter\.augment: motion needs the package torchio"),
    ],
)
def test_a_wrong_augmentation_is_named_before_the_data_are_looked_at(monkeypatch, changes, said):
    monkeypatch.setitem(sys.modules, "torchio", None)  # as if it were not installed
    with pytest.raises(InputError, match=said):
        complete_settings(("carvemix",), None, "smoke", budgets={"segmenter": {"augment": changes}})


def test_without_data_the_embedded_cohort_gives_contrast_and_masks():
    assert complete_settings(("spade",), None, "smoke").channels == ("FLAIR",)
    assert complete_settings(("spade",), None, "smoke").mask_library is None
    drawn = complete_settings(("spade",), None, "smoke", generators=("mask-library",))
    assert drawn.mask_library.name == "soop-flair-masks"
    asked = complete_settings(("spade",), "cohort", "smoke", mask_library="embedded")
    assert asked.mask_library == drawn.mask_library
    assert complete_settings(("spade",), "simulated", "smoke").channels is None
    # A case of the embedded cohort is a slice, so that the quick preset makes more of them.
    assert complete_settings(("spade",), None, "quick").synthetic_cases == 400
    assert complete_settings(("spade",), None, "quick", synthetic_cases=7).synthetic_cases == 7
    assert complete_settings(("spade",), "cohort", "quick").synthetic_cases == 40
    with pytest.raises(InputError, match="--generator mask-library: needs a folder of lesion masks"):
        complete_settings(("spade",), "cohort", "smoke", generators=("mask-library",))

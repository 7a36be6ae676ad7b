"""A study file says what the flags say, and names itself where it is wrong."""

from __future__ import annotations

import pytest

from strokereg.core.study.file import describe_study, read_study
from strokereg.core.study.settings import complete_settings
from strokereg.registry.errors import InputError

KEPT = """
preset = "smoke"
models = ["pix2pix", "carvemix"]
data = "here"
cases = [3, "all"]
seeds = 2
shares = [0.25, 0.5]
compose = "edited"
spacing = 5
[budgets.segmenter]
steps = 70
augment = { shading = 0.1, noise = 0 }
[options.pix2pix]
lr = 1e-3
"""


@pytest.fixture
def write(tmp_path):
    (tmp_path / "here").mkdir()

    def do(text):
        path = tmp_path / "study.toml"
        path.write_text(text)
        return path

    return do


def test_it_stands_above_the_preset_and_below_the_flags(write, tmp_path):
    kept = read_study(write(KEPT))
    assert kept["data"] == tmp_path / "here"
    assert (kept["cases"], kept["seeds"], kept["spacing"]) == ((3, 0), (0, 1), (5, 5, 5))
    settings = complete_settings(**kept, steps={"translator": 9})
    steps = {role: budget.steps for role, budget in settings.budgets.items()}
    assert steps == {"generator": 6, "translator": 9, "segmenter": 70}
    augmented = {role: budget.augment for role, budget in settings.budgets.items()}
    assert augmented == {"generator": {}, "translator": {}, "segmenter": {"shading": 0.1, "noise": 0}}
    assert settings.options["pix2pix"] == {"ngf": 8, "ndf": 8, "lr": 1e-3}


def test_what_is_printed_gives_the_same_study(write, tmp_path):
    kept = read_study(write(KEPT))
    options = kept.pop("options") | {"unet": {"lr": "2e-3"}}
    printed = describe_study(**kept, options=options, segmenters=("unet", "dynunet"), headroom=False)
    (tmp_path / "elsewhere").mkdir()
    again = tmp_path / "elsewhere" / "again.toml"
    again.write_text(printed)
    asked = read_study(again)
    assert describe_study(**asked) == printed
    settings = complete_settings(**asked)
    assert settings.options["unet"]["lr"] == 2e-3
    assert settings.segmenters == ("unet", "dynunet")
    assert settings.shares == (0.25, 0.5)
    assert settings.compose == ("edited",)
    assert settings.budgets["segmenter"].augment == {"shading": 0.1, "noise": 0}
    assert printed.count("augment") == 1
    assert asked["data"] == (tmp_path / "here").resolve()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("segmentor = 'unet'", r"study\.toml: no key 'segmentor' \(did you mean segmenters"),
        ("shares = [1.5]", r"study\.toml: option shares\.0=1\.5: Input should be less than 1"),
        ("[budgets.segmenter]\nsteps = 'many'", r"study\.toml: option budgets\.segmenter\.steps='many'"),
        ("[budgets.segmentor]\nsteps = 3", r"budgets segmentor: no such role \(did you mean segmenter"),
        ("[budgets]\nsteps = 3", r"study\.toml: budgets is not a table of tables; write \[budgets\.NAME\]"),
        ("cases = [3", r"study\.toml: not TOML"),
        ("data = 'there'", r"study\.toml: data: .*there is no folder; paths count from the file's own folder"),
        ("data = 3", r"study\.toml: data = 3; give the path"),
        ("preset = 'quik'", r"no preset 'quik' \(did you mean quick"),
    ],
)
def test_what_is_wrong_is_named(write, text, said):
    with pytest.raises(InputError, match=said):
        read_study(write(text))


def test_a_file_that_is_not_there_is_named():
    with pytest.raises(InputError, match=r"nowhere\.toml: cannot be read \(No such file or directory\)"):
        read_study("nowhere.toml")


@pytest.mark.parametrize("value", ["true", "[[1]]", "3"])
def test_a_preset_of_another_kind_is_one_sentence(write, value):
    with pytest.raises(InputError, match=r"study\.toml: preset = .*; give its name in quotes"):
        read_study(write(f"preset = {value}\n"))


@pytest.mark.parametrize("value", ["[" * 3000, "9" * 5000])
def test_a_value_that_no_parser_takes_is_one_sentence(write, value):
    with pytest.raises(InputError, match=r"study\.toml: not TOML"):
        read_study(write(f"cases = {value}\n"))


def test_a_simulated_cohort_is_a_name_and_not_a_folder(write, tmp_path):
    printed = describe_study(("carvemix",), "simulated", "smoke")
    assert 'data = "simulated"' in printed
    kept = read_study(write(printed))
    assert kept["data"] == "simulated"
    assert describe_study(**kept) == printed
    assert "data =" not in describe_study(("carvemix",), None, "smoke")


def test_the_masks_of_the_cohort_are_a_name_and_not_a_folder(write):
    changes = {"generators": ("mask-library",), "mask_library": "cohort"}
    printed = describe_study(("pix2pix",), "simulated", "smoke", **changes)
    assert 'mask_library = "cohort"' in printed
    assert describe_study(**read_study(write(printed))) == printed
    with pytest.raises(InputError, match=r"mask_library: .*cohorts is no folder"):
        read_study(write('mask_library = "cohorts"'))

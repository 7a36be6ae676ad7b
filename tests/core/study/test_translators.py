"""Translators side by side on the real simulator's cases, in two and three dimensions."""

from __future__ import annotations

import pytest
from PIL import Image

from strokereg.core.study.compare import RunOptions
from strokereg.core.study.executor import NoCallbacks
from strokereg.core.study.translators import TranslatorEvaluation, evaluate_translators
from strokereg.registry.errors import InputError


def evaluate(cohort, out, **changes):
    return evaluate_translators(
        cohort, changes.pop("models", ("pix2pix",)), out, "smoke", RunOptions(workers=1), **changes
    )


@pytest.mark.slow
@pytest.mark.parametrize(("dims", "patch"), [(2, None), (3, (16, 16, 16))])
def test_all_is_measured_and_drawn(dims, patch, small_cohort, tmp_path):
    models = ("pix2pix", "spade")
    small = {"unet": {"widths": (4, 8)}}
    evaluated = evaluate(small_cohort, tmp_path / "a", models=models, dims=dims, patch=patch, options=small)
    assert evaluated.failures == {}
    assert [one.model for one in evaluated.translators] == list(models)
    assert evaluated.simulated
    assert evaluated.dims == dims
    assert len(evaluated.held_out) == 4  # one of validation and three of test: none was trained on
    assert evaluated.truth.value > 1.2
    assert all(0 < one.image_quality.psnr.value < 40 for one in evaluated.translators)
    assert TranslatorEvaluation.model_validate_json((tmp_path / "a" / "evaluation.json").read_text()) == evaluated
    with Image.open(tmp_path / "a" / "sheet.png") as sheet:
        assert min(sheet.size) > 400
        assert (138, 59, 0) in {colour for _, colour in sheet.getcolors(1 << 20)}  # simulated, it says
    again = evaluate(small_cohort, tmp_path / "a", models=models, dims=dims, patch=patch, options=small)
    assert again == evaluated  # found, and drawn from the same noise


def test_what_cannot_be_evaluated_is_refused(small_cohort, tmp_path):
    with pytest.raises(InputError, match=r"no translator is named 'pix3pix' \(did you mean pix2pix"):
        evaluate(small_cohort, tmp_path / "b", models=("pix3pix",))
    with pytest.raises(InputError, match=r"patch \(20, 20\): 2 edges are needed, each a multiple of 16"):
        evaluate(small_cohort, tmp_path / "b", patch=(20, 20))
    with pytest.raises(InputError, match=r"--set spade\.…: spade is not among the models"):
        evaluate(small_cohort, tmp_path / "b", options={"spade": {"ngf": 4}})
    assert not (tmp_path / "b").exists()


def test_a_cohort_of_few_cases_is_enough(flair_cohort, tmp_path):
    """Three training cases were refused for the ten of the preset, although all are used and there is no --cases."""

    class Planned(Exception):
        pass

    class Stopped(NoCallbacks):
        def planned(self, plan, expected):
            cases = {task.cases for task in plan.tasks.values()}
            raise Planned(cases)

    run = RunOptions(workers=1, callbacks=Stopped())
    with pytest.raises(Planned, match=r"^\{3\}$"):
        evaluate_translators(flair_cohort, ("pix2pix",), tmp_path / "a", "quick", run)

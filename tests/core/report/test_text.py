from __future__ import annotations

from collections.abc import Callable

import pytest

from strokereg.core.evaluate.image_quality import ImageQuality, Interval
from strokereg.core.evaluate.memorisation import Memorisation, Nearness
from strokereg.core.report import text
from strokereg.core.report.results import Arm, Quality, Results, Run
from strokereg.core.report.statistics import Contrast, Spread
from strokereg.core.synthesis.public import PublicSources


def found(**changes: object) -> Contrast:
    start = {"difference": 0.031, "low": 0.009, "high": 0.052, "over": "cases and seeds", "p": 0.002}
    return Contrast.model_validate(start | {"adjusted_p": 0.004, "effect": 0.6, "cases": 40, "seeds": 5} | changes)


def arm(contrast: Contrast | None, share: float | None = None) -> Arm:
    return Arm(
        name="spade + clinical", training="clinical + synthetic", cases=10, seeds=[], contrast=contrast
    ).model_copy(update={"share": share})


def test_a_gain_in_one_sentence() -> None:
    assert text.arm_sentence(arm(found(), 0.43)) == (
        "spade + clinical (10 cases): +3.1 Dice points, 95 % interval 0.9 to 5.2, over 40 test cases and 5 seeds; "
        "adjusted p 0.004; 43 % of the headroom."
    )


def test_one_case_is_no_plural() -> None:
    sentence = text.arm_sentence(arm(found()).model_copy(update={"cases": 1}))
    assert sentence is not None
    assert sentence.startswith("spade + clinical (1 case): ")


def test_an_interval_with_zero_is_no_gain() -> None:
    sentence = text.arm_sentence(arm(found(low=-0.004), 0.43))
    assert sentence is not None
    assert "95 % interval −0.4 to 5.2" in sentence
    assert "headroom" not in sentence
    assert sentence.endswith("includes 0: no gain is shown.")


def test_an_interval_above_zero_with_a_large_p_is_no_gain(results: Results) -> None:
    """The interval is not adjusted for the number of arms, and p is."""
    contrast = found(low=0.0004, p=0.04, adjusted_p=0.36)
    assert text.verdict(contrast) == "not significant"
    sentence = text.arm_sentence(arm(contrast, 0.43))
    assert sentence is not None
    assert sentence.endswith("adjusted p 0.36; p is not below 0.05, so this is not called a gain.")
    assert text.share(arm(contrast, 0.43)) is None
    assert text.verdict(found(difference=-0.03, low=-0.05, high=-0.01, adjusted_p=0.05)) == "not significant"


def test_an_interval_without_a_p_is_no_gain() -> None:
    assert text.verdict(found(p=None, adjusted_p=None)) == "not significant"


def test_the_chosen_steps_of_the_segmenters(results: Results) -> None:
    assert text.validation_sentences(results) == []
    chosen = [run.model_copy(update={"chosen_step": step}) for run in results.runs for step in (100, 400, 2000)]
    study = results.study.model_copy(update={"validation_cases": 6})
    (sentence,) = text.validation_sentences(results.model_copy(update={"runs": chosen, "study": study}))
    assert "best evaluation on 6 validation cases" in sentence
    assert "step 400 of 2,000 in the median (100 to 2,000)" in sentence


def test_one_training_is_no_gain() -> None:
    sentence = text.arm_sentence(arm(found(over="cases", p=None, adjusted_p=None, seeds=1)))
    assert sentence is not None
    assert "interval over cases only" in sentence
    assert "1 seed;" in sentence
    assert "not called a gain" in sentence
    assert "adjusted p" not in sentence


def test_too_few_cases_are_no_gain() -> None:
    sentence = text.arm_sentence(arm(found(low=None, high=None, p=None, adjusted_p=None, cases=3)))
    assert sentence is not None
    assert "too few cases for an interval (6 needed)" in sentence
    assert "not called a gain" in sentence


def test_a_loss_is_called_so_and_has_no_share() -> None:
    assert text.share(arm(found(difference=-0.03, low=-0.05, high=-0.01), -0.4)) is None
    assert text.verdict(found(difference=-0.03, low=-0.05, high=-0.01)) == "loss"


@pytest.mark.parametrize(("low", "high", "word"), [(0.001, 0.054, "gain"), (-0.054, -0.001, "loss")])
def test_an_interval_without_a_small_p_is_neither_gain_nor_loss(low: float, high: float, word: str) -> None:
    contrast = found(difference=(low + high) / 2, low=low, high=high, adjusted_p=0.36)
    assert text.verdict(contrast) == "not significant"
    sentence = text.arm_sentence(arm(contrast))
    assert sentence is not None
    assert sentence.endswith(f"adjusted p 0.36; p is not below 0.05, so this is not called a {word}.")
    assert text.share(arm(contrast)) is None


def test_validation_says_which_steps_were_chosen(results: Results) -> None:
    assert text.validation_sentences(results) == []
    runs = [
        Run(role="segmenter", architecture="unet", seed=seed, cases=10, steps=2000, chosen_step=step)
        for seed, step in enumerate((300, 1200, 500))
    ]
    study = results.study.model_copy(update={"validation_cases": 10, "steps": {"segmenter": 2000}})
    (sentence,) = text.validation_sentences(results.model_copy(update={"runs": runs, "study": study}))
    assert sentence == (
        "Each segmenter has the averaged weights of its best evaluation on 10 validation cases during training: step "
        "500 of 2,000 in the median (300 to 1,200)."
    )


def test_headroom_that_includes_zero_says_so(build_results: Callable[..., Results]) -> None:
    (sentence,) = text.headroom_sentences(build_results(gains=0.0))
    assert "cannot show any gain" in sentence


def test_headroom_that_was_not_measured_says_so(results: Results) -> None:
    (sentence,) = text.headroom_sentences(results.model_copy(update={"headroom": []}))
    assert sentence.startswith("Headroom: not measured")


def test_numbers() -> None:
    assert [text.signed(x) for x in (0.031, -0.0312, 0.0001, -0.0001)] == ["+3.1", "−3.1", "0.0", "0.0"]
    assert [text.p_value(p) for p in (0.0001, 0.0042, 0.213, 1.0)] == ["< 0.001", "0.004", "0.21", "1.00"]
    assert text.paper_form(Spread(best=0.728, mean=0.708, sd=0.01, seeds=3)) == "72.8 [70.8 ± 1.0]"
    assert text.paper_form(Spread(best=0.728, mean=0.728, sd=None, seeds=1)) == "72.8 [72.8]"


def test_clinical_cohort_is_not_called_simulated(results: Results) -> None:
    cohort = results.study.cohort.model_copy(update={"simulated": False})
    study = results.study.model_copy(update={"cohort": cohort, "synthesis_saw": "all training cases"})
    limits = " ".join(text.limit_sentences(results.model_copy(update={"study": study})))
    assert "Simulated" not in limits
    assert "trained on all training cases" in limits


def test_the_smoke_preset_says_that_0_is_normal(results: Results) -> None:
    smoke = results.model_copy(update={"study": results.study.model_copy(update={"preset": "smoke"})})
    assert "scores of 0.0 are normal" in " ".join(text.limit_sentences(smoke))
    assert "normal" not in " ".join(text.limit_sentences(results))


def test_the_embedded_cohort_says_what_it_is(results: Results) -> None:
    about = "Real patients, one axial FLAIR slice each."
    cohort = results.study.cohort.model_copy(update={"simulated": False, "name": "soop-flair", "about": about})
    study = results.study.model_copy(update={"cohort": cohort})
    first = text.limit_sentences(results.model_copy(update={"study": study}))[0]
    assert first.startswith(f"soop-flair: {about} Scores are on the test cases of soop-flair")


def test_limits_of_the_intervals_are_reported(results: Results, build_results: Callable[..., Results]) -> None:
    said = "Each translator was trained once for all seeds"
    assert said in " ".join(text.limit_sentences(results))
    again = [run.model_copy(update={"seed": seed}) for run in results.runs for seed in range(5)]
    limits = " ".join(text.limit_sentences(results.model_copy(update={"runs": again})))
    assert said not in limits
    assert "Each translator was trained anew for each seed" in limits
    untrained = [run.model_copy(update={"steps": 0}) for run in results.runs]
    assert said not in " ".join(text.limit_sentences(results.model_copy(update={"runs": untrained})))
    assert said not in " ".join(text.limit_sentences(build_results(seeds=1)))


def test_masks_of_the_own_cohort_are_not_called_public(results: Results) -> None:
    own = PublicSources(folder="mine", used=298, left_out=1, own=True)
    study = results.study.model_copy(update={"public": {"masks": own}})
    said = " ".join(text.limit_sentences(results.model_copy(update={"study": study})))
    assert (
        "Lesion masks: those of 298 training cases of mine, also where an arm does not have the image; 1 of validation "
        "or test cases were excluded."
    ) in said
    assert "Public" not in said


def test_how_a_synthetic_database_came_to_be() -> None:
    notes = {"lesions": 912, "redrawn": 3052, "given_up": 157, "held_out_l1": 0.07754}
    assert text.synthesis_sentence(notes) == (
        "912 lesions, 3,052 redrawn, 157 could not be placed, L1 to held-out images 0.0775"
    )


def quality(caught: float = 1.0, share: float = 0.75, **changes: object) -> Quality:
    near = Nearness(synthetic=0.1, held_out=0.2, nearest=0.05, near=share, caught=caught)
    audit = Memorisation(pixels=near, features=near)
    value = Interval(value=1.0, low=0.9, high=1.1)
    images = ImageQuality(
        ssim=None, psnr=None, frechet=value, kernel=value, precision=0.5, recall=0.5, contrast=None
    )  # a translator's; a mixer has none
    return Quality.model_validate(
        {"model": "spade", "cases": 10, "seed": 0, "image_quality": images, "memorisation": audit} | changes
    )


def test_suspected_copies_are_compared_with_chance_and_explained(results: Results) -> None:
    made = [
        quality(),
        quality(public=True),
        quality(share=0.0),
        quality(model="carvemix", image_quality=None),
        quality(caught=0.5),
        quality(compose="edited"),
    ]
    sentences = text.privacy_sentences(results.model_copy(update={"quality": made}))
    start = "spade: 75 % of its images are unusually close to a training image; by chance it would be 5 %."
    assert sentences[0] == f"{start} Label maps of training cases alone make images similar to them."
    assert sentences[1] == f"{start} This may be copying."
    assert sentences[2] == f"{start.replace('75', '0')} This is no sign of copying."
    assert sentences[3] == "carvemix: a mixer copies voxels of training cases by design, so copies are not counted."
    assert "cannot rule out memorisation" in sentences[4]
    assert sentences[5] == f"{start} Edited images keep most voxels of a training image by design."


def test_few_cases_have_no_effect_size() -> None:
    assert text.effect(found(effect=-0.35)) == "−0.35"
    assert text.effect(found(effect=1.0, cases=4, low=None, high=None)) == "–"

"""Made-up results of a plausible shape. The scores are random numbers under a seed: test data, no finding."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import pytest

from strokereg.core.evaluate.metrics import CaseMetrics
from strokereg.core.report.results import (
    Arm,
    CohortFacts,
    ExternalFacts,
    Failure,
    Provenance,
    Results,
    Run,
    SeedScores,
    Study,
)
from strokereg.core.report.statistics import contrast
from strokereg.core.report.summary import summarise
from strokereg.core.scan.postprocess import Postprocessing

#: name, training, translator, clinical cases (None: all), Dice points above clinical only with 10 cases
RECIPES = (
    ("clinical only", "clinical", None, 10, 0),
    ("clinical only, all cases", "clinical", None, None, 7),
    ("pix2pix, synthetic only", "synthetic", "pix2pix", 10, -9),
    ("pix2pix + clinical", "clinical + synthetic", "pix2pix", 10, 4),
    ("spade, synthetic only", "synthetic", "spade", 10, -6),
    ("spade + clinical", "clinical + synthetic", "spade", 10, 1),
)


#: name, training, translator, clinical cases, gain: what a large study has, two translators and three baselines.
LARGE = tuple(
    recipe
    for cases, room in ((10, 0), (50, 4), (None, 7))
    for recipe in (
        ("clinical only", "clinical", None, cases, room),
        *(
            (f"{model}, {training}", training, model, cases, room + gain - 8 * (training == "synthetic"))
            for model, gain in (
                ("pix2pix", 4),
                ("spade", 2),
                ("random-contrast", 0),
                ("carvemix", 1),
                ("lesion-paste", -1),
            )
            for training in ("synthetic", "clinical + synthetic")
        ),
    )
)


def make_arms(
    train: int, test: int, seeds: int, external: int, gains: float = 1.0, recipes: tuple = RECIPES
) -> list[Arm]:
    """Random scores: a difficulty per case, a luck per training, noise per score."""
    rng = np.random.default_rng(7)
    names = [f"sub-{i:04d}" for i in range(1, test + 1)]
    elsewhere = [f"sub-strokecase{i:04d}" for i in range(1, external + 1)]
    volumes = {name: float(np.exp(rng.normal(1.7, 1.2))) for name in names + elsewhere}
    ease = {name: rng.normal(0.56, 0.1) + 0.03 * np.log(volumes[name]) for name in names}
    ease |= {name: rng.normal(0.3, 0.05) for name in elsewhere}

    def case(name: str, shift: float) -> CaseMetrics:
        dice = float(np.clip(ease[name] + shift + rng.normal(0, 0.05), 0, 0.97))
        off = float(rng.normal(0, 0.3) * volumes[name])
        return CaseMetrics(
            dice=dice,
            lesion_f1=float(np.clip(dice + rng.normal(0, 0.12), 0, 1)),
            volume_difference_ml=abs(off),
            count_difference=int(rng.poisson(2)),
            hd95_mm=None if dice == 0 else float(rng.gamma(4, 4)),
            surface_dice=float(np.clip(dice + 0.1, 0, 1)),
            volume_ml=volumes[name],
            predicted_ml=max(0.0, volumes[name] + off),
        )

    arms = []
    for name, training, translator, cases, gain in recipes:
        trained = []
        for seed in range(seeds):
            shift = gains * gain / 100 + rng.normal(0, 0.012)
            trained.append(
                SeedScores(
                    seed=seed,
                    postprocessing=Postprocessing(threshold=0.5 + 0.05 * seed, smallest_ml=0.1),
                    cases={n: case(n, shift) for n in names},
                    external={n: case(n, shift) for n in elsewhere},
                )
            )
        arms.append(Arm(name=name, training=training, translator=translator, cases=cases or train, seeds=trained))
    return arms


def make_results(train: int = 36, test: int = 40, seeds: int = 5, external: int = 1, gains: float = 1.0) -> Results:
    """Results of a study that never was."""
    study = Study(
        models=["pix2pix", "spade"],
        preset="full",
        cases=[10],
        seeds=list(range(seeds)),
        steps={"generator": 800, "translator": 1500, "segmenter": 2000},
        spacing=(3.0, 3.0, 3.0),
        cohort=CohortFacts(
            name="made-up", fingerprint="0f3c9a", simulated=True, counts={"train": train, "val": 6, "test": test}
        ),
        external=ExternalFacts(name="elsewhere", fingerprint="77ab01", simulated=False, cases=external)
        if external
        else None,
    )
    results = summarise(study, make_arms(train, test, seeds, external, gains))
    results.synthesis = {"pix2pix": {"images": 200, "masks redrawn": 12}, "spade": {"images": 200, "masks redrawn": 9}}
    results.runs = [
        Run(role="generator", architecture="mask-gan", seed=0, cases=10, steps=800, losses={"critic": -0.31}),
        Run(role="translator", architecture="pix2pix", seed=0, cases=10, steps=1500, losses={"l1": 0.071, "gan": 0.4}),
        Run(role="segmenter", architecture="unet", seed=0, cases=10, steps=2000, losses={"dice_loss": 0.21}),
    ]
    results.failures = [Failure(what="spade + clinical, seed 9", reason="the loss 'gan' became NaN at step 120")]
    results.provenance = Provenance(
        command="strokereg compare --models pix2pix,spade --preset full", versions={"strokereg": "0.1.0"}
    )
    results.timing = {"pix2pix, 10 cases, seed 0": 431.0, "clinical only, 10 cases, seed 0": 290.5}
    return results


def make_large() -> Results:
    """Results of a large study that never was."""
    small = make_results(train=110, seeds=3)
    models = list(dict.fromkeys(model for _, _, model, _, _ in LARGE if model))
    study = small.study.model_copy(update={"models": models, "cases": [10, 50, 110]})
    made = summarise(study, make_arms(110, 40, 3, 1, recipes=LARGE))
    return made.model_copy(update={"provenance": small.provenance, "runs": small.runs, "timing": small.timing})


@pytest.fixture(scope="session")
def build_results() -> Callable[..., Results]:
    """Builder of made-up results; see `make_results` for its arguments."""
    return make_results


@pytest.fixture(scope="session")
def large_results() -> Results:
    """Made-up results of a study of 33 arms: five models, three numbers of cases, three seeds, one external case."""
    with pytest.MonkeyPatch.context() as patch:  # fewer bootstrap samples: no test compares its intervals with others
        patch.setattr("strokereg.core.report.summary.contrast", partial(contrast, draws=1000))
        return make_large()


@pytest.fixture(scope="session")
def results() -> Results:
    """Made-up results of a whole study: six arms, five seeds, forty test cases, one external case."""
    return make_results()

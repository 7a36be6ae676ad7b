"""Fine-tuning on a simulated clinic: the same ten cases from a model's weights and from random ones, as a table.

Usage: python tools/compare_start.py MODEL LABEL_MAPS LESION_MASKS --out DIR [--steps 150] [--seeds 2] [--lr 1e-4]

The clinic's scanner lies outside the ranges of the training: echo time 125 ms, b 700, slices of 7 mm with a gap of
1.5 mm, voxels of 2.5 mm. Its heads and lesions are those that `tools/make_bundles.py` kept out of the training; ten
cases train, 4 choose threshold and step, 16 of other heads test. An interrupted call is resumed by the same one.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from strokereg.core.cohort.cohort import open_cohort
from strokereg.core.cohort.folder import SIMULATION, describe, open_folder
from strokereg.core.evaluate.metrics import score_case
from strokereg.core.scan.postprocess import Postprocessing
from strokereg.core.simulate.anatomy import load_anatomy
from strokereg.core.simulate.folder import finish_cohort, read_facts, write_subject
from strokereg.core.simulate.lesions import load_lesion
from strokereg.core.simulate.physics import Sequence
from strokereg.core.simulate.plan import draw_plan, list_sources
from strokereg.core.simulate.subject import simulate_subject
from strokereg.core.storage.files import write_json
from strokereg.core.synthesis.simulated import SimulatedSource
from strokereg.core.train.runs import load_model
from strokereg.core.train.training import TrainingSettings, train
from strokereg.core.train.validation import predict_case
from strokereg.export.weights import run_of_export

CLINIC = Sequence(echo_ms=125.0, b=700.0, tesla=1.5, thickness=7.0, gap=1.5)
SHAPE, SPACING = (90, 90, 58), 2.5
PARTS = (10, 4, 16)  # cases for training, validation and test


def make_clinic(out: Path, labels: Path, lesions: Path) -> Path:
    """Simulate the clinic's cohort; a second call makes what is missing."""
    cohort = SimulatedSource.at_spacing(3.0, labels=labels, lesions=lesions).cohort()
    sources = list_sources(labels, "LABEL_MAPS"), list_sources(lesions, "LESION_MASKS")
    plan = draw_plan(cohort.cases, *sources, cohort.seed, cohort.parts)
    kept = [case for case in plan.cases if case.subject not in plan.split.train]
    heads = sorted({case.anatomy for case in kept if case.anatomy})
    masks = sorted({case.lesion for case in kept if case.lesion})
    own = draw_plan(sum(PARTS), heads, masks, 1, PARTS)
    description = describe("Simulated clinic", SIMULATION, {"scanner": CLINIC.__dict__}, "One scanner, simulated.")
    if open_folder(out, description):
        return out
    for case in own.cases:
        if read_facts(out, case.subject) is None:
            assert case.anatomy
            assert case.lesion
            rng = np.random.default_rng([5, case.index])
            lesion = load_lesion(case.lesion)
            subject = simulate_subject(rng, load_anatomy(case.anatomy), lesion, SHAPE, SPACING, sequence=CLINIC)
            write_subject(out, case.subject, subject)
    finish_cohort(out, own, description)
    return out


def dice(run: Path, clinic: Path, kept: Path) -> list[float]:
    """Dice of a run on each test case of the clinic, kept in a file."""
    if not kept.is_file():
        record, model = load_model(run)
        rule = record.postprocessing or Postprocessing()
        how = (record.preparation, record.problem.size, rule.flips)
        found = [score_case(predict_case(model, case, *how), rule).dice for case in open_cohort(clinic).part("test")]
        write_json(kept, found)
    return json.loads(kept.read_text(encoding="utf-8"))


def main() -> None:
    """Train both ways for each seed, and print the paired difference with its interval over test cases."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("model", help="exported segmenter, or name of a bundle")
    parser.add_argument("labels", type=Path)
    parser.add_argument("lesions", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--lr", type=float, default=1e-4, help="of the fine-tuning; from scratch it is 3e-3")
    given = parser.parse_args()
    start = run_of_export(given.model)
    clinic = make_clinic(given.out / "clinic", given.labels, given.lesions)
    scores: dict[str, list[list[float]]] = {"fine-tuned": [], "from scratch": []}
    for seed in range(given.seeds):
        for name, found in scores.items():
            tuned = name == "fine-tuned"
            folder = f"fine-tuned-lr{given.lr:g}" if tuned else "from-scratch"
            settings = TrainingSettings(
                dataset={"channels": ("dwi", "adc"), "spacing": (3.0,) * 3},
                options={"lr": given.lr if tuned else 3e-3},
                trainer={"steps": given.steps, "batch_size": 8, "precision": "bf16", "seed": seed, "evaluations": 3},
                start=start if tuned else None,
            )
            run, _ = train("unet", clinic, given.out / f"{folder}-{seed}", settings)
            found.append(dice(run, clinic, given.out / f"{run.name}.json"))
    scores["as it is"] = [dice(start, clinic, given.out / "start.json")]
    print("| training | Dice, mean of the test cases |\n|---|---|")
    means = {name: np.mean(found, axis=0) for name, found in scores.items()}
    for name, mean in means.items():
        print(f"| {name} | {mean.mean():.3f} |")
    gain = means["fine-tuned"] - means["from scratch"]
    rng = np.random.default_rng(0)
    low, high = np.percentile(rng.choice(gain, (10_000, len(gain))).mean(axis=1), (2.5, 97.5))
    print(f"\nfine-tuned − from scratch: {gain.mean():+.3f} (95 % interval {low:+.3f} to {high:+.3f})")


if __name__ == "__main__":
    main()

"""Evaluate an exported segmenter on simulated cases of heads and lesions that its training never saw, as a table.

Usage: python tools/evaluate_simulated.py MODEL LABEL_MAPS LESION_MASKS --out CASES.csv [--cases 40]

Label maps and lesion masks are those of `tools/make_bundles.py`; cases are made from the test part of its split, with
scanners and lesion ages of their own. Each case adds a line to CASES.csv; the same call resumes.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import numpy as np

from strokereg.core.evaluate.metrics import score
from strokereg.core.scan.nifti import Volume
from strokereg.core.simulate.anatomy import load_anatomy
from strokereg.core.simulate.lesions import load_lesion
from strokereg.core.simulate.plan import draw_plan, list_sources
from strokereg.core.simulate.subject import simulate_subject
from strokereg.core.synthesis.simulated import SimulatedSource
from strokereg.export.runtime.segmenter import load

_COLUMNS = ("case", "head", "lesion", "hours", "b", "volume_ml", "predicted_ml", "dice", "lesion_f1")
#: Upper edges of the classes of lesion size in ml.
_SIZES = {"below 1 ml": 1.0, "1 to 10 ml": 10.0, "10 to 50 ml": 50.0, "above 50 ml": np.inf}


def evaluate(model: str, labels: Path, lesions: Path, out: Path, cases: int) -> list[dict[str, str]]:
    """Evaluate the cases that `out` does not hold yet; its rows."""
    cohort = SimulatedSource.at_spacing(3.0, labels=labels, lesions=lesions).cohort()
    sources = list_sources(labels, "LABEL_MAPS"), list_sources(lesions, "LESION_MASKS")
    plan = draw_plan(cohort.cases, *sources, cohort.seed, cohort.parts)
    test = [case for case in plan.cases if case.subject in plan.split.test]
    heads = sorted({case.anatomy for case in test if case.anatomy})
    masks = sorted({case.lesion for case in test if case.lesion})
    segmenter = load(model)
    done = _rows(out)
    with out.open("a", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, _COLUMNS)
        if not done:
            table.writeheader()
        for number in range(len(done), cases):
            head, lesion = heads[number % len(heads)], masks[number % len(masks)]
            rng = np.random.default_rng([cohort.seed, 4, number])
            subject = simulate_subject(rng, load_anatomy(head), load_lesion(lesion))
            images = {"dwi": subject.dwi.astype(np.float32), "adc": subject.adc}
            scans = [
                Volume(images[channel], subject.affine, Path(f"{number}_{channel}.nii.gz"))
                for channel in segmenter.bundle.channels
            ]
            found = segmenter.find(scans, segmenter.postprocessing())
            result = score(found.mask, subject.lesion, scans[0].spacing)
            facts = {"hours": subject.ischaemia.hours, "b": subject.sequence.b, **result.model_dump()}
            row = {"case": number, "head": head.name, "lesion": lesion.name}
            table.writerow(row | {name: round(float(facts[name]), 4) for name in _COLUMNS[3:]})
            file.flush()
    return _rows(out)


def _rows(path: Path) -> list[dict[str, str]]:
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def table(rows: list[dict[str, str]]) -> str:
    """Mean, standard deviation and quartiles of the Dice, in all and by lesion size."""
    lines = ["| lesion | cases | Dice, mean (sd) | quartiles | lesion-wise F1 |", "|---|---|---|---|---|"]
    above = 0.0
    groups = {"all": rows}
    for name, edge in _SIZES.items():
        groups[name] = [row for row in rows if above <= float(row["volume_ml"]) < edge]
        above = edge
    for name, group in groups.items():
        if len(group) > 1:
            dice, f1 = (np.array([float(row[column]) for row in group]) for column in ("dice", "lesion_f1"))
            low, middle, high = np.percentile(dice, (25, 50, 75))
            lines.append(
                f"| {name} | {len(group)} | {dice.mean():.2f} ({dice.std(ddof=1):.2f}) | "
                f"{low:.2f}, {middle:.2f}, {high:.2f} | {f1.mean():.2f} |"
            )
    return "\n".join(lines)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("model", help="file, or name of a bundle")
    parser.add_argument("labels", type=Path)
    parser.add_argument("lesions", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--cases", type=int, default=40)
    given = parser.parse_args()
    print(table(evaluate(given.model, given.labels, given.lesions, given.out, given.cases)))

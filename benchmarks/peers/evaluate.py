"""Evaluate a peer's predictions as strokereg evaluates its own: on each scan's grid, with the same metrics.

Two postprocessing rules: `own` is the peer's as it ships (probability of a half, nothing dropped), `chosen` is
strokereg's (threshold and smallest lesion with the best Dice on the validation cases). Both come with scores per case.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from exchange import Exchange

from strokereg.core.cohort.case import CaseFiles, read_case
from strokereg.core.cohort.cohort import open_cohort
from strokereg.core.cohort.open import read_folder
from strokereg.core.evaluate.metrics import score_case
from strokereg.core.report.results import SeedScores
from strokereg.core.scan.grid import Preparation, frame_of
from strokereg.core.scan.nifti import read_volume
from strokereg.core.scan.postprocess import Postprocessing
from strokereg.core.storage.files import write_json
from strokereg.core.train.validation import Prediction, best_postprocessing
from strokereg.registry.errors import InputError

OWN = Postprocessing(threshold=0.5, smallest_ml=0.0)


def evaluate(run: Path) -> dict[str, Any]:
    """What is known of a training, and its scores per rule and case.

    Args:
        run: `OUT/predictions/RUN` of a peer.

    Raises:
        InputError: a prediction is missing, or lies on another grid than the case's.
    """
    facts = Exchange(run.parents[1]).facts
    training = json.loads((run / "training.json").read_text(encoding="utf-8"))
    preparation = Preparation.model_validate(facts["preparation"])
    cohort = open_cohort(facts["cohort"])
    evaluated = {part: _read(run / part, cohort.part(part), preparation) for part in ("val", "test")}
    elsewhere = read_folder(facts["external"]).cases if facts["external"] else ()
    evaluated["external"] = _read(run / "external", elsewhere, preparation)
    chosen, validation_dice = best_postprocessing(list(evaluated["val"].values()))
    rules = {"own": OWN, "chosen": chosen}
    scores = {rule: _scores(training["seed"], postprocessing, evaluated) for rule, postprocessing in rules.items()}
    return {
        **training,
        "cohort": cohort.name,
        "content": facts["content"],
        "cases": facts["cases"],
        "added": facts["added"],
        "spacing": list(preparation.spacing),
        "validation_dice": validation_dice,
        "rules": {rule: score.model_dump(mode="json") for rule, score in scores.items()},
    }


def _scores(seed: int, postprocessing: Postprocessing, evaluated: dict[str, dict[str, Prediction]]) -> SeedScores:
    parts = [
        {name: score_case(case, postprocessing) for name, case in evaluated[part].items()}
        for part in ("test", "external")
    ]
    return SeedScores(seed=seed, postprocessing=postprocessing, cases=parts[0], external=parts[1])


def _read(folder: Path, files: Iterable[CaseFiles], preparation: Preparation) -> dict[str, Prediction]:
    """Case name → the case with the peer's probability brought back onto its scan."""
    evaluated = {}
    for case in files:
        scan = read_case(case)
        frame, predicted = frame_of(scan.reference, preparation), read_volume(folder / f"{case.name}.nii.gz")
        if predicted.data.shape != frame.shape[::-1]:
            raise InputError(f"{predicted.path}: is {predicted.data.shape}, not {frame.shape[::-1]}; predict again")
        assert scan.mask is not None  # conversion refuses cases without
        evaluated[case.name] = Prediction(scan.reference, scan.mask, frame.back(predicted.data.transpose(2, 1, 0)))
    return evaluated


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path, nargs="+", help="OUT/predictions/RUN")
    parser.add_argument("--out", type=Path, required=True, help="folder of the JSON files")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    try:
        for run in given.run:
            found = evaluate(run)
            path = given.out / f"{run.name}-n{found['cases']}.json"
            write_json(path, found)
            print(path)
    except InputError as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()

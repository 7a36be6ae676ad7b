"""Draw the picture of the README from a finished `make demo`: label map, real, synthetic, and what is found.

Usage: python tools/draw_demo.py strokereg-study docs/images/demo.png
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np

from strokereg.core.cohort.cohort import open_cohort
from strokereg.core.scan.pictures import (
    CALLED,
    TRUTH,
    Key,
    Outlined,
    Sheet,
    SheetRow,
    label_colours,
    label_legend,
    window,
)
from strokereg.core.scan.sheet import write_sheet
from strokereg.core.scan.view import Convention
from strokereg.core.storage.cache import cache_folder
from strokereg.core.synthesis.cases import render
from strokereg.core.train.prepared import prepare_cases
from strokereg.core.train.record import Record
from strokereg.core.train.runs import load_model
from strokereg.core.train.validation import predict
from strokereg.registry.catalogue import spec_of
from strokereg.registry.specs import Role

_COLUMNS = ("label map", "real FLAIR, expert", "synthetic", "real FLAIR, found")
_AREAS = (0.25, 0.5, 0.8)  # quantiles of the lesion area, a row each
_SCALE = 4


def main(study: Path, target: Path) -> None:
    """Validation cases through the first translator, and the first segmenter that was trained on its images."""
    found = [(path.parent, Record.read(path.parent)) for path in sorted(study.glob("runs/*/run.json"))]
    runs = [(run, record) for run, record in found if record.done]
    painter = next(run for run, record in runs if record.role == Role.TRANSLATOR)
    segmenter = next(run for run, record in runs if record.role == Role.SEGMENTER and record.cohort.get("synthetic"))
    record, model = load_model(segmenter)
    outcome = json.loads(next(segmenter.glob("outcome-*.json")).read_text(encoding="utf-8"))
    threshold = outcome["postprocessing"]["threshold"]
    translated, translator = load_model(painter)
    cohort = open_cohort(record.cohort["path"])
    cases = prepare_cases(cohort.part("val"), record.preparation, cohort.table, cache_folder() / "prepared")
    area = np.array([case.mask.sum() for case in cases])
    chosen = [cases[int(abs(area - np.quantile(area, share)).argmin())] for share in _AREAS]
    rows, turn = [], Convention.RADIOLOGICAL.turn
    for case in chosen:
        labels, image = np.asarray(case.labels), np.array(case.image)
        fake = render(translator, labels, spec_of(translated.architecture).stochastic)[:, 0]
        called = predict(model, image, record.problem.size) > threshold
        real = window(turn(image[0, 0]), -1.0, 0.4, _SCALE)
        cells = [
            label_colours(turn(labels[0]), cohort.table.count, _SCALE),
            Outlined(real, turn(case.mask[0]), TRUTH),
            window(turn(fake[0]), -1.0, 0.4, _SCALE),
            Outlined(real, turn(called[0]), CALLED),
        ]
        rows.append(SheetRow("", cells))
    legend = [*label_legend(cohort.table.names), Key("found by the segmenter", CALLED)]
    write_sheet(Sheet(title="", rows=rows, columns=_COLUMNS, legend=legend), target)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))

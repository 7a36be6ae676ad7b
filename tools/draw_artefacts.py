"""Draw the picture of MR artefacts for the documentation: one slice of a real DWI as it is, and with each artefact.

Needs `strokereg[artefacts]`. Usage: python tools/draw_artefacts.py ../shared/data/isles22 docs/images/artefacts.png
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch

from strokereg.core.cohort.case import read_case
from strokereg.core.cohort.open import read_folder
from strokereg.core.scan.grid import Preparation
from strokereg.core.scan.pictures import Sheet, SheetRow, window
from strokereg.core.scan.sheet import write_sheet
from strokereg.core.scan.view import Convention
from strokereg.core.train.artefacts import KINDS, Artefacts, add_artefacts
from strokereg.core.train.prepared import prepare_image

_SEED, _SCALE = 4, 3
_BRIGHTEST = 0.2  # of [-1, 1]: the brain's median is at -0.5


def main(folder: Path, target: Path) -> None:
    """The slice with the largest lesion of the first case of a folder, at 2 mm."""
    case = read_case(read_folder(folder).cases[0], ("dwi",))
    image, frame = prepare_image(case, Preparation(spacing=(2.0, 2.0, 2.0)))
    z = int(frame.labels(case.mask.astype("uint8"), 2).sum(axis=(1, 2)).argmax())
    plane = torch.from_numpy(image[:, z].copy())[None]
    changed = {name: add_artefacts(plane, Artefacts(**{name: 1.0}), _SEED) for name in KINDS}
    shown = {"as it is": plane, **changed}
    turn = Convention.RADIOLOGICAL.turn
    pictures = [window(turn(each[0, 0].numpy()), -1.0, _BRIGHTEST, _SCALE) for each in shown.values()]
    names = list(shown)
    rows = [SheetRow("", pictures[i : i + 3], names[i : i + 3]) for i in range(0, len(names), 3)]
    write_sheet(Sheet(title="", rows=rows), target)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))

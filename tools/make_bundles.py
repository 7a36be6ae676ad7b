"""Train the bundle `sim-dwi-adc` from simulated scans alone, and put it into the package.

Usage: python tools/make_bundles.py LABEL_MAPS LESION_MASKS [--out runs/bundles]

Label maps are the 15 heads of SynthSeg, lesion masks the 1,149 of SOOP in MNI space. An interrupted call is
resumed by the same one. It takes about half an hour on a CPU core.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

from strokereg.core.synthesis.simulated import SimulatedSource, train_simulated
from strokereg.core.train.record import Record
from strokereg.core.train.training import TrainingSettings
from strokereg.export.run import export

HOME = Path(__file__).parents[1] / "strokereg" / "plugins" / "bundles"
SPACING = 3.0
#: Channels and steps of each training.
RECIPES = {"sim-dwi-adc": (("dwi", "adc"), 3500)}
#: Fixed and not chosen on the simulated validation cases; see the card.
THRESHOLD = 0.5


def make(source: SimulatedSource, out: Path, home: Path = HOME, **shorter: int) -> None:
    """Train, export in fp16 behind the gate, and copy.

    Args:
        source: of the simulated cases; its voxel edge is that of the network grid.
        shorter: trainer settings in place of the recipe's, for a try.
    """
    for name, (channels, steps) in RECIPES.items():
        settings = TrainingSettings(
            dataset={"channels": channels, "spacing": (source.spacing,) * 3},
            trainer={
                "steps": steps,
                "batch_size": 8,
                "precision": "bf16",
                "augment": {"gain": 0.25, "gamma": 0.3},
                **shorter,
            },
        )
        run, record = train_simulated("unet", source, out / name, settings)
        assert record.postprocessing is not None
        rule = record.postprocessing.model_copy(update={"threshold": THRESHOLD})
        Record.read(run).model_copy(update={"postprocessing": rule}).write(run)
        (file,) = export(run, precisions=["fp16"], out=out / f"{name}-export")
        home.mkdir(exist_ok=True)
        shutil.copyfile(file, home / f"{name}.onnx")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("labels", type=Path)
    parser.add_argument("lesions", type=Path)
    parser.add_argument("--out", type=Path, default=Path("runs/bundles"))
    given = parser.parse_args()
    make(SimulatedSource.at_spacing(SPACING, labels=given.labels, lesions=given.lesions), given.out)

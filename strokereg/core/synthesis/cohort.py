"""Write a synthetic cohort: a BIDS folder with the provenance of each case, which any tool can train on."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy import ndimage
from torch import nn

from strokereg.core.cohort.folder import SYNTHESIS, SideFiles, close_folder, describe, open_folder
from strokereg.core.cohort.labels import LabelTable
from strokereg.core.cohort.split import PARTS, Split, make_split
from strokereg.core.scan.contrasts import folder_of
from strokereg.core.scan.grid import Preparation
from strokereg.core.scan.nifti import write_volume
from strokereg.core.scan.scaling import signal
from strokereg.core.storage.cache import sha256_of
from strokereg.core.storage.files import write_json
from strokereg.core.synthesis.cases import CaseMaker, SynthesisSettings, Tally, write_cases
from strokereg.core.synthesis.composition import Composition
from strokereg.core.synthesis.placement import learn_prior
from strokereg.core.train.prepared import PreparedCase
from strokereg.core.train.record import WEIGHTS, Record
from strokereg.core.train.start import DIGITS

_DERIVED = Path("derivatives") / "strokereg"
_COLUMNS = {
    "lesion_ml": "Volume of the lesion mask in ml",
    "lesions": "Number of lesions (26 neighbours)",
    "anatomy": "Case or label map that the tissues come from",
    "seed": "Seed of all random numbers, and the index of the case",
    "compose": "Whether the image is a translation, or an edited image of the anatomy's case",
}


@dataclass(frozen=True)
class Maker:
    """A trained network and its provenance: folder name, architecture, digest of the weights."""

    model: nn.Module
    record: Record
    stochastic: bool
    facts: dict[str, Any]


@dataclass(frozen=True)
class CohortSettings:
    """Networks and settings of a synthetic cohort.

    Attributes:
        translator, generator: the trained networks.
        table: labels of both networks.
        count: number of cases.
        seed: seed of all random numbers; the same settings give the same voxels.
        lesion_share: share of slices (2D) or volumes (3D) that get a lesion.
        compose: what becomes the image; see `SynthesisSettings`.
        about: facts about the sources, for the description of the dataset.
    """

    translator: Maker
    generator: Maker
    table: LabelTable
    count: int
    seed: int
    lesion_share: float
    compose: Composition
    about: dict[str, Any]

    def description(self) -> dict[str, Any]:
        """The BIDS description of the dataset."""
        settings = {
            "translator": self.translator.facts,
            "generator": self.generator.facts,
            "seed": self.seed,
            "cases": self.count,
            "lesion_share": self.lesion_share,
            "compose": self.compose,
            **self.about,
        }
        return describe(
            f"Synthetic stroke {' and '.join(self.translator.record.preparation.channels)}", SYNTHESIS, settings
        )


def maker_of(run: Path, record: Record, model: nn.Module, stochastic: bool) -> Maker:
    """A network with its provenance, which is written to the sidecar of every case."""
    weights = sha256_of(run / WEIGHTS)[:DIGITS]
    facts = {"run": run.resolve().name, "architecture": record.architecture, "weights": weights}
    return Maker(model, record, stochastic, facts | {"cohort": record.cohort.get("name", "")})


def write_synthesis(
    out: Path,
    settings: CohortSettings,
    anatomies: Sequence[PreparedCase],
    with_lesion: Sequence[PreparedCase],
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> Tally:
    """Make the missing cases, then the tables; the same settings give the same voxels.

    Args:
        anatomies: cases that provide the tissues, used in turn.
        with_lesion: cases whose lesions define where new lesions are placed.

    Returns:
        The tally of the cases that this call made.

    Raises:
        InputError: the folder holds something else.
    """
    translator, generator, table = settings.translator, settings.generator, settings.table
    problem, description = translator.record.problem, settings.description()
    if open_folder(out, description):
        return Tally()
    synthesis = SynthesisSettings(
        generator.model,
        translator.model,
        translator.stochastic,
        table,
        problem,
        learn_prior(with_lesion, problem.dims),
        settings.lesion_share,
        settings.compose,
    )
    count = settings.count
    width = max(4, len(str(count)))
    first = translator.record.preparation.channels[0]
    names = [f"sub-{index + 1:0{width}d}" for index in range(count)]
    maker = CaseMaker(anatomies, synthesis, count, settings.seed)

    def write(index: int, image: np.ndarray, labels: np.ndarray) -> None:
        makers = {"translator": translator.facts, "generator": generator.facts}
        facts = {"anatomy": maker.anatomy(index).name, "seed": [settings.seed, index], **makers}
        facts["compose"] = maker.composition(index)
        _write_case(out, names[index], image, labels, table, translator.record.preparation, facts)

    for index in write_cases(maker.cases(lambda index: _sidecar(out, names[index], first).is_file()), write):
        on_progress(index + 1, count)
    _close(out, names, first, table, description)
    return maker.tally


def _sidecar(out: Path, name: str, first: str) -> Path:
    return out / name / folder_of(first) / f"{name}_{first}.json"


def _write_case(
    out: Path,
    name: str,
    image: np.ndarray,
    labels: np.ndarray,
    table: LabelTable,
    preparation: Preparation,
    facts: dict[str, Any],
) -> None:
    """Write images, label map and mask of a subject. Its sidecar comes last and marks the subject as complete."""
    first = preparation.channels[0]
    derived = out / _DERIVED / name / folder_of(first)
    for folder in (derived, *(out / name / folder_of(channel) for channel in preparation.channels)):
        folder.mkdir(parents=True, exist_ok=True)
    affine = np.diag([*preparation.spacing, 1.0])
    affine[:3, 3] = -np.array(preparation.spacing) * (np.array(labels.shape[::-1]) - 1) / 2.0
    for channel, planes in zip(preparation.channels, image, strict=True):
        scan = signal(planes, labels > 0, preparation).transpose(2, 1, 0)
        write_volume(out / name / folder_of(channel) / f"{name}_{channel}.nii.gz", scan.astype(np.float32), affine)
    mask = labels == table.lesion
    write_volume(derived / f"{name}_dseg.nii.gz", labels.transpose(2, 1, 0).astype(np.uint8), affine)
    write_volume(derived / f"{name}_desc-lesion_mask.nii.gz", mask.transpose(2, 1, 0).astype(np.uint8), affine)
    ml = round(float(mask.sum() * np.prod(preparation.spacing)) / 1000.0, 3)
    count = int(ndimage.label(mask, np.ones((3, 3, 3)))[1])
    write_json(
        _sidecar(out, name, first), {"SkullStripped": True, "Synthesis": {**facts, "lesion_ml": ml, "lesions": count}}
    )


def _close(out: Path, names: Sequence[str], first: str, table: LabelTable, description: dict[str, Any]) -> None:
    """Write the split and the files beside the cases, then the description that makes the folder a cohort."""
    facts = {name: json.loads(_sidecar(out, name, first).read_text(encoding="utf-8"))["Synthesis"] for name in names}
    split = _split({name: fact["anatomy"] for name, fact in facts.items()})
    if split is not None:
        split.write(out / "split.tsv")
    rows = [[name, *(_cell(facts[name][column]) for column in _COLUMNS)] for name in names]
    readme = "Synthetic images: no patient was scanned. See dataset_description.json."
    close_folder(out, description, SideFiles(_COLUMNS, rows, readme, _DERIVED, table))


def _split(anatomy_of: dict[str, str]) -> Split | None:
    """A split without an anatomy in two parts; None if there are fewer than three anatomies."""
    anatomies = list(dict.fromkeys(anatomy_of.values()))
    if len(anatomies) < len(PARTS):
        return None
    pools = make_split(anatomies, [0.0] * len(anatomies))
    parts = (tuple(name for name, head in anatomy_of.items() if head in pools.part(part)) for part in PARTS)
    return Split(*parts)


def _cell(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)

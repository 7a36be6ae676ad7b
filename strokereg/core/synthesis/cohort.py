"""A synthetic cohort on disk: BIDS, with provenance for each case, for any tool to train on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from scipy import ndimage
from torch import nn

from strokereg.core.cohort.folder import SYNTHESIS, UNFINISHED, makers_of, write_description
from strokereg.core.cohort.labels import LabelTable
from strokereg.core.cohort.layout import DESCRIPTION
from strokereg.core.cohort.split import PARTS, Split, make_split
from strokereg.core.scan.grid import Preparation
from strokereg.core.scan.nifti import write_volume
from strokereg.core.scan.scaling import signal
from strokereg.core.storage.files import make_folder, write_json, write_text
from strokereg.core.synthesis.cases import Tally, render, synthesize_labels
from strokereg.core.synthesis.placement import learn_prior
from strokereg.core.train.prepared import PreparedCase
from strokereg.core.train.record import WEIGHTS, Record
from strokereg.registry.errors import InputError

_DERIVED = Path("derivatives") / "strokereg"
_COLUMNS = {
    "lesion_ml": "Volume of the lesion mask in ml",
    "lesions": "Number of lesions (26 neighbours)",
    "anatomy": "Case or label map that gave the tissues",
    "seed": "Of all that was drawn, with the case's index",
}


@dataclass(frozen=True)
class Maker:
    """A trained network, and what is to be known of it: folder name, architecture, digest of its weights."""

    model: nn.Module
    record: Record
    stochastic: bool
    facts: dict[str, Any]


def maker_of(run: Path, record: Record, model: nn.Module, stochastic: bool) -> Maker:
    """A maker with its provenance, as every case will state it."""
    weights = hashlib.sha256((run / WEIGHTS).read_bytes()).hexdigest()[:16]
    facts = {"run": run.resolve().name, "architecture": record.architecture, "weights": weights}
    return Maker(model, record, stochastic, facts | {"cohort": record.cohort.get("name", "")})


def write_synthesis(
    out: Path,
    translator: Maker,
    generator: Maker,
    anatomies: Sequence[PreparedCase],
    with_lesion: Sequence[PreparedCase],
    table: LabelTable,
    count: int,
    seed: int,
    lesion_share: float,
    about: dict[str, Any],
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> Tally:
    """Make the cases that are not there yet, then the tables; the same settings give the same voxels.

    Args:
        anatomies, with_lesion: as in `core.synthesis.cases.write_database`.
        lesion_share: of slices (2D) or volumes (3D) that get a lesion.
        about: what the dataset's description says of its sources.

    Returns:
        How the drawing of lesions went, of the cases made now.

    Raises:
        InputError: the folder holds something else.
    """
    settings = {
        "translator": translator.facts,
        "generator": generator.facts,
        "seed": seed,
        "cases": count,
        "lesion_share": lesion_share,
        **about,
    }
    problem, preparation = translator.record.problem, translator.record.preparation
    if _open(out, settings):
        return Tally()
    prior, tally = learn_prior(with_lesion, problem.dims), Tally()
    width = max(4, len(str(count)))
    names = [f"sub-{index + 1:0{width}d}" for index in range(count)]
    for index, name in enumerate(names):
        if not _sidecar(out, name).is_file():
            anatomy = anatomies[index % len(anatomies)]
            labels = synthesize_labels(
                anatomy, generator.model, table, problem, prior, lesion_share, (seed, index), tally
            )  # fmt: skip
            image = render(translator.model, labels, translator.stochastic)
            whole = image.transpose(1, 0, 2, 3) if problem.dims == 2 else image[0]
            volume = labels if problem.dims == 2 else labels[0]
            makers = {"translator": translator.facts, "generator": generator.facts}
            facts = {"anatomy": anatomy.name, "seed": [seed, index], **makers}
            _write_case(out, name, whole, volume, table, preparation, facts)
        on_progress(index + 1, count)
    _close(out, names, table, settings)
    return tally


def _open(out: Path, settings: dict[str, Any]) -> bool:
    """Whether the cohort is complete already; takes a new or empty folder, or one begun with the same settings."""
    make_folder(out)
    for name in (DESCRIPTION, UNFINISHED):
        if (out / name).is_file():
            before = _settings_of(out / name)
            if before != settings:
                raise InputError(
                    f"{out}: holds another dataset, or one of other settings; give a new folder with --out"
                )
            return name == DESCRIPTION
    if any(out.iterdir()):
        raise InputError(f"{out}: is not empty and no synthetic cohort; give a new folder with --out")
    write_json(out / UNFINISHED, {"GeneratedBy": [{"Name": SYNTHESIS, "Settings": settings}]})
    return False


def _settings_of(description: Path) -> Any:
    """The settings that a dataset was made with; None where another program made it."""
    try:
        said = json.loads(description.read_text(encoding="utf-8"))
    except ValueError:
        return None
    first = (makers_of(said) or [{}])[0]
    return first.get("Settings") if first.get("Name") == SYNTHESIS else None


def _sidecar(out: Path, name: str) -> Path:
    return out / name / "dwi" / f"{name}_dwi.json"


def _write_case(
    out: Path,
    name: str,
    image: np.ndarray,
    labels: np.ndarray,
    table: LabelTable,
    preparation: Preparation,
    facts: dict[str, Any],
) -> None:
    """One subject: images, label map, mask; its sidecar comes last and says that the subject is whole."""
    raw, derived = out / name / "dwi", out / _DERIVED / name / "dwi"
    for folder in (raw, derived):
        folder.mkdir(parents=True, exist_ok=True)
    affine = np.diag([*preparation.spacing, 1.0])
    affine[:3, 3] = -np.array(preparation.spacing) * (np.array(labels.shape[::-1]) - 1) / 2.0
    for channel, planes in zip(preparation.channels, image, strict=True):
        scan = signal(planes, labels > 0, preparation).transpose(2, 1, 0)
        write_volume(raw / f"{name}_{channel}.nii.gz", scan.astype(np.float32), affine)
    mask = labels == table.lesion
    write_volume(derived / f"{name}_dseg.nii.gz", labels.transpose(2, 1, 0).astype(np.uint8), affine)
    write_volume(derived / f"{name}_desc-lesion_mask.nii.gz", mask.transpose(2, 1, 0).astype(np.uint8), affine)
    ml = round(float(mask.sum() * np.prod(preparation.spacing)) / 1000.0, 3)
    count = int(ndimage.label(mask, np.ones((3, 3, 3)))[1])
    write_json(_sidecar(out, name), {"SkullStripped": True, "Synthesis": {**facts, "lesion_ml": ml, "lesions": count}})


def _close(out: Path, names: Sequence[str], table: LabelTable, settings: dict[str, Any]) -> None:
    """Write the tables and the split, then the description that makes the folder a cohort."""
    facts = {name: json.loads(_sidecar(out, name).read_text(encoding="utf-8"))["Synthesis"] for name in names}
    rows = ["\t".join(("participant_id", *_COLUMNS))]
    rows += ["\t".join([name, *(_cell(facts[name][column]) for column in _COLUMNS)]) for name in names]
    write_text(out / "participants.tsv", "\n".join(rows) + "\n")
    write_json(out / "participants.json", {name: {"Description": text} for name, text in _COLUMNS.items()})
    split = _split({name: said["anatomy"] for name, said in facts.items()})
    if split is not None:
        split.write(out / "split.tsv")
    table.write(out / _DERIVED / "dseg.tsv")
    write_text(out / ".bidsignore", "split.tsv\n**/*_adc.nii.gz\n")
    write_text(out / "README", "Synthetic images: no patient was scanned. See dataset_description.json.\n")
    made_by = {"Name": SYNTHESIS, "Version": metadata.version("strokereg"), "Settings": settings}
    description: dict[str, Any] = {"Name": "Synthetic stroke DWI", "BIDSVersion": "1.10.0", "DatasetType": "raw"}
    description |= {"GeneratedBy": [made_by]}
    derived = {**description, "Name": "Tissue labels and lesion masks", "DatasetType": "derivative"}
    write_json(out / _DERIVED / DESCRIPTION, derived)
    write_description(out, description)


def _split(anatomy_of: dict[str, str]) -> Split | None:
    """No anatomy serves two parts; None where there are fewer than three."""
    anatomies = list(dict.fromkeys(anatomy_of.values()))
    if len(anatomies) < len(PARTS):
        return None
    pools = make_split(anatomies, [0.0] * len(anatomies))
    parts = (tuple(name for name, head in anatomy_of.items() if head in pools.part(part)) for part in PARTS)
    return Split(*parts)


def _cell(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)

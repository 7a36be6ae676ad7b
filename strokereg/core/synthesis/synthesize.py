"""A synthetic cohort in one call."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from strokereg.registry.errors import InputError

if TYPE_CHECKING:
    from strokereg.core.synthesis.cohort import Maker

#: Default output folder.
OUT = Path("strokereg-synthetic")


def synthesize(
    translator: Path | str,
    generator: Path | str,
    cohort: Path | str,
    out: Path | str = OUT,
    count: int = 1000,
    seed: int = 0,
    *,
    lesion_share: float = 0.5,
    compose: str = "translated",
    anatomies: Path | str | None = None,
    device: str = "auto",
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> Path:
    """Write synthetic cases as a BIDS cohort; call it again to make only the missing ones.

    Args:
        translator, generator: finished run folders, for one grid and one label table.
        cohort: its training cases provide the anatomies and the locations of lesions; other cases are not used.
        out: output folder.
        count: number of cases.
        seed: seed of all random numbers; the same settings give the same voxels.
        lesion_share: share of slices (2D networks) or volumes (3D) with a lesion.
        compose: translated, edited or both; see `core.synthesis.composition`.
        anatomies: folder of FreeSurfer-coded label maps to use instead of the cohort's.
        device: auto, cpu, cuda or mps.
        on_progress: called with the number of finished cases and of all cases.

    Returns:
        The folder.

    Raises:
        InputError: a run is not finished, the runs do not fit each other or the cohort, the folder has other data, or
            cases are to be edited whose anatomies have no images.
    """
    from strokereg.core.cohort.cohort import open_cohort, require_label_maps, require_trainable
    from strokereg.core.cohort.fingerprint import content_keys
    from strokereg.core.storage.cache import cache_folder, digest
    from strokereg.core.synthesis.cohort import CohortSettings, write_synthesis
    from strokereg.core.synthesis.composition import Composition, refuse_edited
    from strokereg.core.synthesis.public import gather_public
    from strokereg.core.train.prepared import prepare_cases

    if count < 1 or seed < 0 or not 0 <= lesion_share <= 1:
        raise InputError("synthesize: give at least one case, a seed not below 0, and a lesion share from 0 to 1")
    if compose not in set(Composition):
        raise InputError(f"--compose {compose}: is none of {', '.join(Composition)}")
    refuse_edited(anatomies, [compose])
    images, masks = _maker(translator, "translator", device), _maker(generator, "generator", device)
    record = images.record
    opened = open_cohort(cohort, record.fold_in(cohort))
    require_trainable(opened)
    require_label_maps(opened, "synthesis")
    assert opened.table is not None
    for what, theirs in {
        "grid": (masks.record.problem.size, masks.record.preparation.spacing),
        "label table": masks.record.labels,
    }.items():
        ours = (record.problem.size, record.preparation.spacing) if what == "grid" else record.labels
        if ours != theirs:
            raise InputError(
                f"{generator}: was trained with another {what} ({theirs}) than {translator} ({ours}); "
                "train both on the same cohort with the same settings"
            )
    if record.labels != opened.table.names:
        raise InputError(f"{cohort}: its labels are {opened.table.names}, those of {translator} {record.labels}")
    cache, train = cache_folder() / "prepared", opened.part("train")
    cases = prepare_cases(train, record.preparation, opened.table, cache)
    heads, content = cases, digest(list(content_keys(train, cache).values()))[:16]
    # Both keys are always present, so that a cohort with other anatomies is not continued as this one.
    about: dict[str, str | None] = {"cohort": opened.name, "content": content, "anatomies": None, "heads": None}
    if anatomies is not None:
        public = gather_public(Path(anatomies), None, opened, opened.table, record.preparation, cache)
        heads, about = list(public.anatomies), {**about, "anatomies": Path(anatomies).name, "heads": public.key[:16]}
    settings = CohortSettings(images, masks, opened.table, count, seed, lesion_share, Composition(compose), about)
    write_synthesis(Path(out), settings, heads, cases, on_progress)
    return Path(out)


def _maker(run: Path | str, role: str, device: str) -> Maker:
    from strokereg.core.synthesis.cohort import maker_of
    from strokereg.core.train.device import choose_device
    from strokereg.core.train.runs import load_model
    from strokereg.registry.catalogue import find

    record, model = load_model(Path(run))
    if record.role != role:
        raise InputError(f"{run}: is a {record.role}'s run, not a {role}'s; check --translator and --generator")
    stochastic = getattr(find(record.architecture, role).spec, "stochastic", False)
    return maker_of(Path(run), record, model.to(choose_device(device)), stochastic)

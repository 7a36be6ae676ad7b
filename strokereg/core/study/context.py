"""Data and settings that all tasks of a study share."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from strokereg.core.cohort.case import CaseFiles
from strokereg.core.cohort.checks.duplicates import refuse_leaks
from strokereg.core.cohort.cohort import Cohort
from strokereg.core.cohort.fingerprint import content_keys
from strokereg.core.cohort.folder import about_embedded
from strokereg.core.report.results import CohortFacts, ExternalFacts
from strokereg.core.storage.cache import cache_folder, digest
from strokereg.core.study.settings import StudySettings, architectures, library_users
from strokereg.core.synthesis.public import Public, gather_public
from strokereg.core.train.dataset import DatasetSettings, PreparedDataset, prepare_dataset
from strokereg.core.train.device import resolve
from strokereg.core.train.prepared import check_cases
from strokereg.core.train.record import Start
from strokereg.core.train.runs import load_start
from strokereg.core.train.start import read_start
from strokereg.registry.catalogue import build, spec_of
from strokereg.registry.errors import InputError
from strokereg.registry.factory import source_key
from strokereg.registry.specs import Role


@dataclass(frozen=True)
class StudyContext:
    """Data and settings of a study, small enough to be sent to each worker.

    Attributes:
        dataset: the cohort, prepared.
        store: folder of the tasks' results.
        external: cases of another origin that segmenters are also evaluated on.
        public: anatomies and masks from public folders.
        code: name of an architecture → key of its source code.
        start: the run whose weights the segmenters begin with, if any.
        external_key: key of the contents of the external cases, whose names may be those of the cohort's.
        facts, external_facts: descriptions of the two cohorts in the results.
    """

    settings: StudySettings
    dataset: PreparedDataset
    store: Path
    external: tuple[CaseFiles, ...]
    external_key: str
    public: Public
    code: Mapping[str, str]
    facts: CohortFacts
    external_facts: ExternalFacts | None
    start: Start | None = None

    def key_of(self, files: Sequence[CaseFiles]) -> str:
        """A key of the contents of these cases of the cohort, in this order."""
        return digest([self.dataset.contents[f.name] for f in files])

    def mixes(self, name: str) -> bool:
        """Whether an architecture is a mixer, which needs neither generator nor translator."""
        return spec_of(name).role is Role.MIXER


def make_context(
    settings: StudySettings,
    cohort: Cohort,
    store: Path,
    external: Cohort | None = None,
    on_progress: Callable[[str, int, int], None] = lambda what, done, total: None,
) -> StudyContext:
    """Check and prepare the data, and build every architecture once, so that wrong options show before work begins.

    Args:
        store: folder of the results of tasks.
        external: a cohort of another origin.
        on_progress: called with what is being done, the number of finished cases and their total.

    Raises:
        InputError: a cohort that cannot be trained or evaluated on, too few cases, label maps missing that a model
            needs, one case in two parts of the split, an external cohort without masks, public folders that cannot be
            used, a device that is not there, or an architecture that cannot be built as asked.
    """
    cache = cache_folder().absolute() / "prepared"
    if "auto" in (settings.device, settings.precision):  # keys of trainings name what is used
        device, precision = resolve(settings.device, settings.precision)
        settings = settings.model_copy(update={"device": device.partition(":")[0], "precision": precision})
    external_cases = external.cases if external else ()
    for case in external_cases:
        if external and case.mask is None:
            raise InputError(
                f"{external.root}: {case.name} has no lesion mask to evaluate against; add it or take it out"
            )
    available = len(cohort.split.train) if cohort.split else 0
    if cohort.split and max(settings.cases) > available:
        raise InputError(
            f"--cases {max(settings.cases)}: {cohort.root} has fewer training cases; give --cases {available} or less"
        )
    how = DatasetSettings(**{name: getattr(settings, name) for name in DatasetSettings.model_fields})
    needing = [name for name in settings.models if spec_of(name).needs_tissues]
    dataset = prepare_dataset(
        cohort, how, cache, lambda done, total: on_progress("preparing cases", done, total), needing
    )
    check_cases([*dataset.test_files, *external_cases], dataset.preparation.channels)
    if external:
        training = {"training": dataset.train_files, "validation": dataset.validation_files}
        tables = {**dict.fromkeys(training, cohort.table), "external": external.table}
        refuse_leaks({**training, "external": external_cases}, tables, cache)
    dataset = _with_validation_cases(dataset, settings.validation_cases)
    start = _start(settings, dataset) if settings.start else None
    public = gather_public(
        settings.anatomies, settings.mask_library, cohort, dataset.table, dataset.preparation, cache, on_progress
    )
    if public.masks:
        masks = {"folder": str(public.masks.resolve()), "without": public.left_out, "heights": _heights(dataset)}
        options = {name: {**settings.options.get(name, {}), **masks} for name in library_users(settings)}
        settings = settings.model_copy(update={"options": {**settings.options, **options}})
    code = {
        name: source_key(build(name, dataset.problem, settings.options.get(name, {})))
        for name in architectures(settings)
    }
    external_key = digest(list(content_keys(external_cases, cache).values()))
    counts = {"train": dataset.train_files, "val": dataset.validation_files, "test": dataset.test_files}
    return StudyContext(
        settings=settings,
        dataset=dataset,
        store=store,
        external=external_cases,
        external_key=external_key,
        public=public,
        code=code,
        facts=CohortFacts(
            name=cohort.name,
            fingerprint=dataset.facts["key"],
            simulated=cohort.simulated,
            counts={part: len(files) for part, files in counts.items()},
            about=about_embedded(cohort.root),
        ),
        external_facts=None
        if external is None
        else ExternalFacts(
            name=external.name,
            fingerprint=digest(external_key)[:16],
            simulated=external.simulated,
            cases=len(external_cases),
        ),
        start=start,
    )


def _heights(dataset: PreparedDataset) -> tuple[float, ...]:
    """MNI heights of the training slices in mm, rounded; empty in 3D, and if a case is not in MNI space."""
    found = [case.mni_heights for case in dataset.train]
    if dataset.problem.dims == 3 or any(heights is None for heights in found):
        return ()
    return tuple(sorted({float(np.rint(height)) for heights in found if heights is not None for height in heights}))


def _start(settings: StudySettings, dataset: PreparedDataset) -> Start:
    """The weights that all segmenters begin with. They fit the one segmenter, which is built with them here."""
    assert settings.start
    if len(settings.segmenters) != 1:
        raise InputError(f"--from {settings.start}: a study that starts from a run trains one segmenter; name it alone")
    [name] = settings.segmenters
    start = read_start(settings.start, name, dataset.preparation.channels, dataset.table.names, dataset.facts)
    load_start(build(name, dataset.problem, settings.options.get(name, {})), start)
    return start


def _with_validation_cases(dataset: PreparedDataset, count: int) -> PreparedDataset:
    """The dataset with the first `count` validation cases; 0 stands for all."""
    available = len(dataset.validation)
    if count > available:
        raise InputError(f"--validation-cases {count}: there are {available}; ask for that many at most")
    keep = slice(count or available)
    return replace(dataset, validation=dataset.validation[keep], validation_files=dataset.validation_files[keep])

"""Cohorts: from the folder that a lab has to one that can be trained on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from strokereg.core.errors import InputError, StrokeregError

if TYPE_CHECKING:
    from strokereg.core.checks.whole import Checked
    from strokereg.core.cohort import Cohort
    from strokereg.core.intake.run import Imported
    from strokereg.core.source import Source


def read_source(
    folder: Path | str, reader: str | None = None, options: Mapping[str, Any] | None = None
) -> tuple[str, Source]:
    """List the cases of a folder of any layout that a reader knows.

    Args:
        reader: its name; None for the one that recognises the folder.
        options: of that reader.

    Returns:
        The reader's name and what it found.

    Raises:
        InputError: no such folder, no or several readers that know it, wrong options, or a folder that cannot be read.
    """
    from strokereg.core.source import Source
    from strokereg.registry.catalogue import readers
    from strokereg.registry.factory import build_reader

    root = Path(folder)
    if not root.is_dir():
        raise InputError(f"{root}: no such folder; give the folder that holds the scans")
    known = readers()
    entry = known.find(reader) if reader else _recognise(root)
    source = build_reader(entry, options).read(root)
    if not isinstance(source, Source):
        raise InputError(
            f"the reader {entry.spec.name} ({entry.origin}) gives a {type(source).__name__} and not a "
            f"strokereg.Source; report this to the authors of {entry.distribution}"
        )
    return known.label(entry), source


def read_folder(folder: Path | str) -> Cohort:
    """Open a cohort, or a folder of any layout that a reader recognises, to judge or to look at.

    Raises:
        InputError: see `read_source` and `core.cohort.open_cohort`.
    """
    from strokereg.core.cohort import cohort_of, open_cohort

    root, name, source = _look(folder)
    return open_cohort(root) if name is None else cohort_of(root, source)


def check_data(folder: Path | str, on_case: Callable[[str, int], None] = lambda name, total: None) -> Checked:
    """Look for every fault of a cohort, or of a folder that a reader recognises.

    Args:
        on_case: told of each case that is done, and of how many.

    Raises:
        InputError: a folder that is no cohort, or without cases.
    """
    from strokereg.core.cache import cache_folder
    from strokereg.core.checks.whole import check_cohort
    from strokereg.core.cohort import cohort_of

    root, _, source = _look(folder)
    cohort = cohort_of(root, source, split=False)
    total = len(cohort.cases)
    return check_cohort(cohort, cache_folder() / "prepared", lambda name: on_case(name, total))


def draw_data(folder: Path | str, path: Path | str) -> Path:
    """Draw each case's slice with the largest lesion area, outlined, on one sheet.

    Raises:
        InputError: a folder that is no cohort, no readable case, or a file that cannot be written.
    """
    from strokereg.core.checks.sheet import draw_cases

    return draw_cases(read_folder(folder).cases, Path(path))


def import_data(
    folder: Path | str,
    out: Path | str,
    reader: str | None = None,
    *,
    options: Mapping[str, Any] | None = None,
    link: bool = False,
    convert_adc: bool = False,
    resample: bool = False,
    lesion_label: int | None = None,
    on_case: Callable[[int, int], None] = lambda done, total: None,
) -> Imported:
    """Bring a folder of any known layout into a cohort; called again, it takes what is missing.

    Args:
        folder: the source, which is never altered.
        out: cohort folder, new or begun by an earlier call with the same settings.
        reader, options: see `read_source`.
        link: link files (hard, or symbolic to another file system) where they can stay as they are.
        convert_adc: turn ADC maps of a known unit into 10⁻³ mm²/s.
        resample: bring masks, label maps and ADC onto the grid of the DWI where they lie on another one.
        lesion_label: the value that means lesion in the masks; None where they hold 0 and 1.
        on_case: told how many cases are done, and of how many.

    Raises:
        InputError: see `read_source`; also an output folder that holds something else or cannot be written.
    """
    from strokereg.core.intake.run import Settings, import_source

    name, source = read_source(folder, reader, options)
    settings = Settings(
        reader=name,
        options={key: str(value) for key, value in (options or {}).items()},
        link=link,
        convert_adc=convert_adc,
        resample=resample,
        lesion_label=lesion_label,
    )
    return import_source(Path(folder), source, Path(out), settings, on_case)


def _look(folder: Path | str) -> tuple[Path, str | None, Source]:
    """Folder, name of the reader (None for strokereg's own layout, made by whomever) and what it found."""
    from strokereg.core import layout
    from strokereg.core.source import Source

    root = Path(folder)
    if not root.is_dir():
        raise InputError(f"{root}: no such folder; give a cohort folder, or make one with 'strokereg data simulate'")
    if layout.recognises(root):
        claims, cases = _claims(root), layout.list_cases(root)
        if all(entry.spec.general for entry in claims) and (layout.is_plain(cases) if cases else not claims):
            return root, None, Source(cases, layout.table_path(root))
    name, source = read_source(root)
    return root, name, source


def _recognise(root: Path) -> Any:
    """The one reader that knows a folder; a general one only where no other does."""
    from strokereg.registry.catalogue import readers

    known = readers()
    claims = _claims(root)
    if not claims:
        listed = ", ".join(known.available())
        raise InputError(
            f"{root}: no reader knows this layout; installed are: {listed} (see docs/data.md); "
            "for files of any other naming: --images '*_dwi.nii.gz' --masks '*_lesion.nii.gz'"
        )
    if len(claims) > 1:
        named = " and ".join(known.label(entry) for entry in claims)
        raise InputError(f"{root}: could be {named}; choose one with --reader")
    return claims[0]


def _claims(root: Path) -> list[Any]:
    from strokereg.registry.catalogue import readers
    from strokereg.registry.factory import build_reader

    claims: dict[bool, list[Any]] = {False: [], True: []}
    for general, found in claims.items():
        if general and claims[False]:
            break
        for entry in readers().entries:
            if entry.spec.general == general:
                try:
                    if build_reader(entry).recognises(root):
                        found.append(entry)
                except StrokeregError:
                    raise
                except Exception as error:
                    raise InputError(
                        f"the reader {entry.spec.name} ({entry.origin}) failed on {root} "
                        f"({type(error).__name__}: {error}); choose another with --reader"
                    ) from error
    return claims[False] or claims[True]

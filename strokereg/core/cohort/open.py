"""Finding the reader that knows a folder: from any layout to a list of cases."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from strokereg.registry.errors import InputError, StrokeregError
from strokereg.registry.specs import ReaderSpec

_NEAR = 20  # folders below a wrong one that are looked into

if TYPE_CHECKING:
    from strokereg.core.cohort.cohort import Cohort
    from strokereg.core.cohort.source import Source


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
    from strokereg.core.cohort.source import Source
    from strokereg.registry.catalogue import readers
    from strokereg.registry.factory import build_reader

    root = Path(folder)
    if not root.is_dir():
        what = "is a file" if root.exists() else "no such folder"
        raise InputError(f"{root}: {what}; give the folder that holds the scans")
    known = readers()
    entry = known.find(reader) if reader else _recognise(root)
    source = build_reader(entry, options).read(root)
    if not isinstance(source, Source):
        raise InputError(
            f"the reader {entry.spec.name} ({entry.origin}) gives a {type(source).__name__} and not a "
            f"strokereg.Source; report this to the authors of {entry.distribution}"
        )
    return known.label(entry), source


def read_folder(folder: Path | str, fold: int | None = None) -> Cohort:
    """Open a cohort, or a folder of any layout that a reader recognises, to evaluate or to look at.

    Args:
        fold: whose split, of a cohort with a cross-validation; None for `split.tsv`.

    Raises:
        InputError: see `read_source` and `core.cohort.cohort.open_cohort`.
    """
    from strokereg.core.cohort.cohort import cohort_of, open_cohort

    root, name, source = look_into(folder)
    return open_cohort(root, fold) if name is None else cohort_of(root, source, fold=fold)


def look_into(folder: Path | str) -> tuple[Path, str | None, Source]:
    """Folder, name of the reader (None for strokereg's own layout, made by whomever) and what it found."""
    from strokereg.core.cohort import layout
    from strokereg.core.cohort.source import Source

    root = Path(folder)
    if not root.is_dir():
        what = "is a file" if root.exists() else "no such folder"
        raise InputError(f"{root}: {what}; give a cohort folder, or make one with 'strokereg data simulate'")
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
            f"{root}: no reader knows this layout{_known_near(root)}; installed are: {listed} "
            "(see docs/reference/cohorts.md); "
            "for files of any other naming: --images '*_dwi.nii.gz' --masks '*_lesion.nii.gz'"
        )
    if len(claims) > 1:
        named = " and ".join(known.label(entry) for entry in claims)
        raise InputError(f"{root}: could be {named}; choose one with --reader")
    return claims[0]


def _known_near(root: Path) -> str:
    """A hint where a folder above or right below is one that a reader of a certain layout knows."""
    with contextlib.suppress(OSError, InputError):  # a folder that cannot be listed, a reader that fails on it
        near = [root.absolute().parent, root.absolute().parent.parent, *itertools.islice(root.iterdir(), _NEAR)]
        for folder in near:
            if folder.is_dir() and (claims := _claims(folder, general=False)):
                return f", but {folder} is {claims[0].spec.name}: give that"
    return ""


def _claims(root: Path, general: bool = True) -> list[Any]:
    """Readers that know a folder; the general ones, if at all, only where no other does."""
    from strokereg.registry.catalogue import readers
    from strokereg.registry.factory import build_reader

    claims: dict[bool, list[Any]] = {False: [], True: []}
    for broad, found in claims.items():
        if broad and (claims[False] or not general):
            break
        for entry in readers().entries:
            if isinstance(entry.spec, ReaderSpec) and entry.spec.general == broad:
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

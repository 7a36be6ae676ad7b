"""Open a folder of any layout: strokereg's own, or one that a reader knows."""

from __future__ import annotations

import contextlib
import itertools
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from strokereg.core.cohort import layout
from strokereg.core.cohort.cohort import Cohort, cohort_of
from strokereg.core.cohort.source import Source
from strokereg.core.scan.nifti import iterate_images
from strokereg.registry.catalogue import readers
from strokereg.registry.errors import InputError, StrokeregError, command
from strokereg.registry.factory import build_reader
from strokereg.registry.specs import ReaderSpec

_NEAR = 20  # folders below a wrong one that are searched for a known layout
_LOOK = 100  # images that are looked at in a folder of no known layout
_MASKS = re.compile("lesion|mask|msk|roi|seg|label", re.IGNORECASE)


def read_folder(folder: Path | str, fold: int | None = None) -> Cohort:
    """Open a cohort, or a folder of any layout that a reader recognises, for evaluation or inspection.

    Args:
        folder: a cohort or another folder of scans.
        fold: fold of a cross-validation, counted from 1; None for `split.tsv`.

    Raises:
        InputError: see `find_source` and `core.cohort.cohort.cohort_of`.
    """
    return cohort_of(Path(folder), find_source(folder), fold=fold)


def find_source(folder: Path | str) -> Source:
    """List the cases of a cohort, or of a folder of any layout that a reader recognises.

    Raises:
        InputError: see `read_source`.
    """
    root = Path(folder)
    if not root.is_dir():
        what = "is a file" if root.exists() else "no such folder"
        raise InputError(f"{root}: {what}; give a cohort folder, or make one with 'strokereg data simulate'")
    if layout.recognises(root):
        claims, cases = _claims(root), layout.list_cases(root)
        if all(entry.spec.general for entry in claims) and (layout.is_plain(cases) if cases else not claims):
            own = Source(cases, layout.table_path(root))
            complete = len(claims) != 1 or all(case.mask for case in cases)
            return own if complete else max(own, read_source(root)[1], key=_masks)
    return read_source(root)[1]


def _masks(source: Source) -> int:
    return sum(case.mask is not None for case in source.cases)


def read_source(
    folder: Path | str, reader: str | None = None, options: Mapping[str, Any] | None = None
) -> tuple[str, Source]:
    """List the cases of a folder with a reader.

    Args:
        folder: the folder of scans.
        reader: name of the reader; None for the one that recognises the folder.
        options: options of the reader.

    Returns:
        The reader's name and what it found.

    Raises:
        InputError: no such folder, no reader or several readers that recognise it, wrong options, or a folder that
            cannot be read.
    """
    root = Path(folder)
    if not root.is_dir():
        what = "is a file" if root.exists() else "no such folder"
        raise InputError(f"{root}: {what}; give the folder that holds the scans")
    known = readers()
    entry = known.find(reader) if reader else _recognise(root)
    source = build_reader(entry, options).read(root)
    if not isinstance(source, Source):
        raise InputError(
            f"the reader {entry.spec.name} ({entry.origin}) returns a {type(source).__name__} instead of a "
            f"strokereg.Source; report this to the authors of {entry.distribution}"
        )
    return known.label(entry), source


def _recognise(root: Path) -> Any:
    """The one reader that recognises a folder."""
    known = readers()
    claims = _claims(root)
    if not claims:
        listed = ", ".join(known.available())
        raise InputError(
            f"{root}: no reader knows this layout{_known_near(root)}; installed are: {listed} "
            f"(see docs/reference/cohorts.md); {_use_of(root)}"
        )
    if len(claims) > 1:
        named = " and ".join(known.label(entry) for entry in claims)
        raise InputError(f"{root}: could be {named}; choose one with --reader")
    return claims[0]


def _use_of(root: Path) -> str:
    """What can be done with the images of a folder that no reader knows."""
    images = list(itertools.islice(iterate_images(root), _LOOK))
    if not images:
        return "it holds no image, so give another folder"
    if all(_MASKS.search(path.name) for path in images):
        return (
            f"it holds masks or label maps without images, such as {images[0].name}, which "
            "'strokereg data simulate' takes with --lesions or --labels"
        )
    files = command("strokereg", "data", "import", root, "--images", "*_dwi.nii.gz", "--masks", "*_lesion.nii.gz")
    return f"for files with other names, such as {images[0].name}: {files} --out COHORT"


def _known_near(root: Path) -> str:
    """A hint if a specific reader recognises a folder above or directly below, else an empty string."""
    with contextlib.suppress(OSError, InputError):  # a folder that cannot be listed, a reader that fails on it
        near = [root.absolute().parent, root.absolute().parent.parent, *itertools.islice(root.iterdir(), _NEAR)]
        for folder in near:
            if folder.is_dir() and (claims := _claims(folder, general=False)):
                return f", but {folder} is {claims[0].spec.name}: give that folder"
    return ""


def _claims(root: Path, general: bool = True) -> list[Any]:
    """Readers that recognise a folder. General readers are asked only if allowed, and if no specific one does."""
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

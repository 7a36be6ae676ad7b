"""Image and mask files of any naming, paired by shell patterns: what the wildcards stand for is the case.

--images '*_dwi.nii.gz' --masks '*_lesion.nii.gz'        names, anywhere below the folder
--images 'img/*.nii.gz' --masks 'seg/*.nii.gz'           paths
"""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from pathlib import Path

from strokereg.core.cohort.case import CaseFiles
from strokereg.core.cohort.source import Source
from strokereg.core.scan.nifti import ending_of, without_ending
from strokereg.plugins.readers.names import parse_name
from strokereg.registry.errors import InputError
from strokereg.registry.options import Options


class FolderReader:
    """Pairs by pattern; it never takes a folder unasked."""

    class Options(Options):
        """Patterns with at least one `*`.

        Args:
            images: of the DWI, or of whatever contrast stands in its place.
            masks, adc, labels: of lesion masks, ADC maps and tissue label maps; "" for none.
            table: label table (BIDS dseg.tsv) of the label maps.
            subject: regular expression of the subject in a case's name, where a subject has several; names of the form
                `sub-…_ses-…` say it themselves, and otherwise each case counts as a subject.
        """

        images: str = ""
        masks: str = ""
        adc: str = ""
        labels: str = ""
        table: Path | None = None
        subject: str = ""

    def __init__(self, options: FolderReader.Options) -> None:
        try:
            re.compile(options.subject)
        except re.error as error:
            raise InputError(f"--set subject={options.subject}: not a regular expression ({error})") from error
        self.options = options

    def recognises(self, root: Path) -> bool:
        """Never: without patterns any folder would do."""
        return False

    def read(self, root: Path) -> Source:
        """Pair the files.

        Raises:
            InputError: no pattern for the images, a pattern without a wildcard, or one that fits no file.
        """
        options = self.options
        if not options.images:
            raise InputError("--images: say by which names the images are found, for example --images '*_dwi.nii.gz'")
        left_out: dict[str, str] = {}
        images = _match(root, "--images", options.images, left_out)
        rest = {
            part: _match(root, option, pattern, left_out) if pattern else {}
            for part, option, pattern in (
                ("mask", "--masks", options.masks),
                ("adc", "--set adc=", options.adc),
                ("dseg", "--set labels=", options.labels),
            )
        }
        for part, found in rest.items():
            for key in found.keys() - images.keys():
                left_out[str(found[key])] = f"this {part} fits no image ({key!r}); see whether the two patterns agree"
        cases = []
        for key, path in sorted(images.items()):
            adc = rest["adc"].get(key)
            found = {"dwi": path} | ({"adc": adc} if adc else {})
            name, subject = self._named(key, path)
            cases.append(CaseFiles(name, subject, found, rest["mask"].get(key), rest["dseg"].get(key)))
        return Source(cases, options.table, left_out)

    def _named(self, key: str, path: Path) -> tuple[str, str]:
        """Case and subject."""
        if self.options.subject and (fit := re.search(self.options.subject, key)):
            return key, fit[1] if fit.re.groups and fit[1] else fit[0]
        bids = parse_name(path)
        return (bids.case, bids.visit[0]) if bids else (key, key)


def _match(root: Path, option: str, pattern: str, left_out: dict[str, str]) -> dict[str, Path]:
    """What the wildcards stood for → file."""
    if "*" not in pattern:
        raise InputError(
            f"{option} {pattern}: has no *, which stands for the name of the case; for example '*_dwi.nii.gz'"
        )
    anywhere = "/" not in pattern
    pieces = re.split(r"\*+", re.sub(r"(?i)\.nii(\*|\.gz)?$", "", pattern))
    expression = re.compile("(.*)".join(re.escape(piece).replace(r"\?", ".") for piece in pieces))
    found: dict[str, Path] = {}
    for path in sorted(root.rglob(pattern) if anywhere else root.glob(pattern)):
        told = without_ending(path) if anywhere else path.relative_to(root).with_name(without_ending(path)).as_posix()
        fit = expression.fullmatch(told)
        if fit is None or ending_of(path) is None or path.is_dir():
            continue
        key = "-".join(word for word in fit.groups() if word) or path.parent.name
        if key in found:
            left_out[str(path)] = f"is the second file for {key!r}; write the folder into the pattern"
        else:
            found[key] = path
    if not found:
        alike = (path for path in root.rglob("*") if ending_of(path) and _fits_but_for_case(path, root, pattern))
        near = next(alike, None)
        mend = f"{near.name} differs in upper and lower case" if near else "see the names with 'ls'"
        raise InputError(f"{option} {pattern}: fits no NIfTI file in {root}; quote the pattern, and {mend}")
    return found


def _fits_but_for_case(path: Path, root: Path, pattern: str) -> bool:
    told = path.name if "/" not in pattern else path.relative_to(root).as_posix()
    return fnmatchcase(told.lower(), pattern.lower())

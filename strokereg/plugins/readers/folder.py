"""Image and mask files with any names, paired by shell patterns; the part that the wildcards match is the case.

--images '*_dwi.nii.gz' --masks '*_lesion.nii.gz'        names, anywhere below the folder
--images 'img/*.nii.gz' --masks 'seg/*.nii.gz'           paths
"""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from pathlib import Path

from strokereg.core.cohort.case import CaseFiles
from strokereg.core.cohort.source import Source
from strokereg.core.scan.contrasts import contrast_of
from strokereg.core.scan.nifti import ending_of, without_ending
from strokereg.core.storage.search import search
from strokereg.plugins.readers.common.names import parse_name
from strokereg.registry.errors import InputError
from strokereg.registry.options import Options

#: The end of a pattern that stands for the ending of the file.
_ENDING = re.compile(r"\.(nii(\*|\.\*|\.gz)?|mg[zh]|hdr|mh[ad]|nrrd|\*)$", re.IGNORECASE)


class FolderReader:
    """Pairs files by patterns; used only with `--reader` or `--images`."""

    class Options(Options):
        """Patterns with at least one `*`.

        Args:
            images: pattern of the images. Their contrast is the suffix of the file name, or else dwi.
            masks, adc, labels: patterns of lesion masks, ADC maps and tissue label maps; "" for none.
            table: label table (BIDS dseg.tsv) of the label maps.
            subject: regular expression for the subject in the name of a case, if a subject has several cases. It is not
                needed for names such as `sub-…_ses-…`; otherwise each case counts as a subject.
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
        """Never: without patterns, any folder would match."""
        return False

    def read(self, root: Path) -> Source:
        """Pair the files.

        Raises:
            InputError: no pattern for the images, a pattern without a wildcard, or one that matches no file.
        """
        options = self.options
        if not options.images:
            raise InputError(
                "--images: give a pattern for the names of the images, for example --images '*_dwi.nii.gz'"
            )
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
                left_out[str(found[key])] = f"this {part} matches no image ({key!r}); check that the two patterns agree"
        cases = []
        for key, path in sorted(images.items()):
            adc = rest["adc"].get(key)
            contrast = contrast_of(path) or "dwi"
            found = {contrast: path} | ({"adc": adc} if adc and contrast != "adc" else {})
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
    """The part that the wildcards match → file."""
    if "*" not in pattern:
        raise InputError(
            f"{option} {pattern}: has no *, which stands for the name of the case; write for example '*_dwi.nii.gz'"
        )
    anywhere = "/" not in pattern
    pieces = re.split(r"\*+", _ENDING.sub("", pattern))
    expression = re.compile("(.*)".join(re.escape(piece).replace(r"\?", ".") for piece in pieces))
    found: dict[str, Path] = {}
    for path in sorted(search(root, f"**/{pattern}" if anywhere else pattern)):
        name = without_ending(path) if anywhere else path.relative_to(root).with_name(without_ending(path)).as_posix()
        fit = expression.fullmatch(name)
        if fit is None or ending_of(path) is None or path.is_dir() or path.name.startswith("."):
            continue
        key = "-".join(word for word in fit.groups() if word) or path.parent.name
        if key in found:
            fix = "give the ending in" if path.parent == found[key].parent else "add the folder to"
            left_out[str(path)] = f"is a second file for {key!r} beside {found[key]}; {fix} the pattern"
        else:
            found[key] = path
    if not found:
        alike = (path for path in search(root, "**/*") if ending_of(path) and _fits_but_for_case(path, root, pattern))
        near = next(alike, None)
        hint = f"note that {near.name} differs in upper and lower case" if near else "check the file names"
        raise InputError(f"{option} {pattern}: matches no image in {root}; quote the pattern, and {hint}")
    return found


def _fits_but_for_case(path: Path, root: Path, pattern: str) -> bool:
    name = path.name if "/" not in pattern else path.relative_to(root).as_posix()
    return fnmatchcase(name.lower(), pattern.lower())

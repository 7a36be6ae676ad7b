"""The split of a cohort by subject into training, validation and test.

The split is written once, as `split.tsv` with columns `participant_id` and `split`. All sessions of a subject are in
the same part. Each fold of a cross-validation has a file of its own.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from strokereg.core.storage.files import write_text
from strokereg.core.storage.tables import read_table
from strokereg.registry.errors import FileFault, InputError

PARTS = ("train", "val", "test")
SPLIT_FILE = "split.tsv"
#: train : val : test by default, in proportion.
DEFAULT_PARTS = (6, 1, 3)


def split_file(fold: int | None = None) -> str:
    """`split.tsv`, or the file of a fold, counted from 1: `split_fold-1.tsv`."""
    return SPLIT_FILE if fold is None else f"split_fold-{fold}.tsv"


def folds_of(root: Path) -> list[int]:
    """Numbers of the folds that have a file in a cohort's folder."""
    found = (re.fullmatch(r"split_fold-([1-9]\d*)\.tsv", path.name) for path in root.glob("split_fold-*.tsv"))
    return sorted(int(fit[1]) for fit in found if fit)


@dataclass(frozen=True)
class Split:
    """Subjects of each part, in a fixed order: an arm with n cases takes the first n of `train`."""

    train: tuple[str, ...]
    val: tuple[str, ...]
    test: tuple[str, ...]

    def part(self, name: str) -> tuple[str, ...]:
        """The subjects of `train`, `val` or `test`."""
        return {"train": self.train, "val": self.val, "test": self.test}[name]

    @property
    def subjects(self) -> tuple[str, ...]:
        """The subjects of all parts."""
        return (*self.train, *self.val, *self.test)

    def write(self, path: Path) -> None:
        """Write the split as a table, atomically."""
        rows = [f"{subject}\t{part}\n" for part in PARTS for subject in self.part(part)]
        write_text(path, "participant_id\tsplit\n" + "".join(rows))

    @classmethod
    def read(cls, path: Path) -> Split:
        """Read a split.

        Raises:
            FileFault: not a table, an unknown part, or a subject in two parts.
        """
        parts: dict[str, list[str]] = {part: [] for part in PARTS}
        seen: dict[str, str] = {}
        for row in read_table(path, ("participant_id", "split")):
            subject, part = row["participant_id"], row["split"]
            if not subject or part not in parts:
                fault = f"has a row with participant_id {subject!r} and split {part!r}"
                raise FileFault(path, fault, "each row needs a participant_id and a split of train, val or test")
            if seen.setdefault(subject, part) != part:
                raise FileFault(path, f"{subject} is in {seen[subject]} and in {part}", "keep it in one of them")
            if subject not in parts[part]:  # a row for each session is fine
                parts[part].append(subject)
        return cls(*(tuple(parts[part]) for part in PARTS))


def without(split: Split, subjects: Collection[str]) -> Split:
    """The split without some subjects."""
    return Split(*(tuple(subject for subject in split.part(part) if subject not in subjects) for part in PARTS))


def make_split(
    subjects: Iterable[str], volumes_ml: Sequence[float], seed: int = 0, parts: tuple[int, int, int] = DEFAULT_PARTS
) -> Split:
    """Split subjects, stratified by lesion volume, so that every part has small and large lesions.

    Args:
        subjects: names.
        volumes_ml: lesion volume of each subject.
        seed: seed of the shuffle within strata and of the order of the training cases.
        parts: train : val : test, in proportion; exact numbers if they add up to the number of subjects.

    Raises:
        InputError: fewer than 3 subjects, or an empty part.
    """
    names = list(subjects)
    if len(names) < 3:
        raise InputError(f"a split needs at least 3 subjects, this cohort has {len(names)}; add cases")
    if min(parts) < 1:
        raise InputError(f"--parts {','.join(map(str, parts))}: each part needs at least 1; for example 110,10,40")
    shares = tuple(part // math.gcd(*parts) for part in parts)
    rng = np.random.default_rng(seed)
    by_size = [names[i] for i in np.argsort(volumes_ml, kind="stable")]
    found: dict[str, list[str]] = {part: [] for part in PARTS}
    # A stratum has as many neighbours in size as the proportions add up to, ten for 6 : 1 : 3.
    for start in range(0, len(by_size), sum(shares)):
        stratum = by_size[start : start + sum(shares)]
        rng.shuffle(stratum)
        for subject, part in zip(stratum, _places(len(stratum), shares), strict=True):
            found[part].append(subject)
    rng.shuffle(found["train"])
    return Split(tuple(found["train"]), tuple(sorted(found["val"])), tuple(sorted(found["test"])))


def make_site_split(
    subjects: Iterable[str],
    volumes_ml: Sequence[float],
    tested: Collection[str],
    seed: int = 0,
    parts: tuple[int, int, int] = DEFAULT_PARTS,
) -> Split:
    """Split subjects so that those of one site are the test cases; the others train and validate.

    Training and validation are stratified by lesion volume.

    Args:
        subjects: names.
        volumes_ml: lesion volume of each subject.
        tested: subjects of the test site.
        seed: seed of the shuffle within strata and of the order of the training cases.
        parts: train : val : test; the proportion of the first two is used.

    Raises:
        InputError: no test subject, or fewer than 2 others.
    """
    names = list(subjects)
    by_size = [names[i] for i in np.argsort(volumes_ml, kind="stable") if names[i] not in tested]
    test = sorted(name for name in names if name in tested)
    if not test or len(by_size) < 2:
        raise InputError(
            f"a split by site needs 1 test subject and 2 others, this cohort has {len(test)} and {len(by_size)}; "
            "choose another site"
        )
    rng = np.random.default_rng(seed)
    divisor = math.gcd(*parts[:2])
    share, size = parts[1] // divisor, sum(parts[:2]) // divisor
    val: set[str] = set()
    for start in range(0, len(by_size), size):
        stratum = by_size[start : start + size]
        count = round(len(stratum) * share / size)
        val.update(stratum[int(i)] for i in rng.permutation(len(stratum))[:count])
    if len(val) in (0, len(by_size)):
        val = {by_size[len(by_size) // 2]}
    train = [name for name in by_size if name not in val]
    rng.shuffle(train)
    return Split(tuple(train), tuple(sorted(val)), tuple(test))


def _places(count: int, shares: tuple[int, ...]) -> list[str]:
    """The parts of one stratum. A short one fills each part once, then the part furthest below its share."""
    if count == sum(shares):
        return [part for part, share in zip(PARTS, shares, strict=True) for _ in range(share)]
    if shares == DEFAULT_PARTS:
        return (["test", "val", "train", "train", "test", "train"] * 2)[:count]
    places = ["test", "val", "train"][:count]
    while len(places) < count:
        lag = [share * count / sum(shares) - places.count(part) for part, share in zip(PARTS, shares, strict=True)]
        places.append(PARTS[lag.index(max(lag))])
    return places


def make_folds(subjects: Iterable[str], volumes_ml: Sequence[float], folds: int, seed: int = 0) -> list[Split]:
    """Split subjects into folds: each subject is tested in one fold, and each fold has small and large lesions.

    Of the subjects that a fold does not test, one in eight neighbours in size is for validation, the rest for training.

    Args:
        subjects: names.
        volumes_ml: lesion volume of each subject.
        folds: number of folds, at least 2.
        seed: seed of the shuffle within strata and of the order of the training cases.

    Raises:
        InputError: fewer than 2 folds, or too few subjects for them.
    """
    names = list(subjects)
    if folds < 2:
        raise InputError(f"--folds {folds}: a cross-validation needs at least 2; leave --folds out for a single split")
    if len(names) < max(3, folds) or len(names) - -(-len(names) // folds) < 2:
        raise InputError(f"--folds {folds}: this cohort has {len(names)} subjects; ask for fewer folds or add cases")
    rng = np.random.default_rng(seed)
    by_size = [names[i] for i in np.argsort(volumes_ml, kind="stable")]
    tested: dict[str, int] = {}
    for start in range(0, len(by_size), folds):
        stratum = by_size[start : start + folds]
        tested.update(zip(stratum, rng.permutation(folds)[: len(stratum)].tolist(), strict=True))
    made = []
    for fold in range(folds):
        rest = [name for name in by_size if tested[name] != fold]
        val = {rest[start + int(rng.integers(len(rest[start : start + 8])))] for start in range(0, len(rest), 8)}
        if len(val) == len(rest):
            val = {rest[0]}
        train = [name for name in rest if name not in val]
        rng.shuffle(train)
        test = [name for name in names if tested[name] == fold]
        made.append(Split(tuple(train), tuple(sorted(val)), tuple(sorted(test))))
    return made

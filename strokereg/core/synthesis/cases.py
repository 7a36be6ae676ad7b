"""Synthetic cases: a new lesion is placed in the parenchyma of a training case, and a translator makes the image.

As in the paper (arXiv 2010.02745), no annotation is needed: the generated mask is the true lesion of the image.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from strokereg.core.cohort.labels import LabelTable
from strokereg.core.roles import device_of, noise
from strokereg.core.scan.box import Box
from strokereg.core.synthesis.composition import Composition, edit_image
from strokereg.core.synthesis.placement import SMALLEST, Prior, place_mask, remove_lesion
from strokereg.core.train.device import seed_of, units_at_once
from strokereg.core.train.prepared import PreparedCase, write_prepared
from strokereg.core.train.sampler import cut
from strokereg.registry.errors import RunFailed
from strokereg.registry.problem import Problem

_TRIES = 10  # draws of a mask and of its place before a slice stays without lesion
_UNITS = 16  # noise vectors drawn at a time
_TOGETHER = 4  # cases of slices that are made together; of volumes it depends on their size
_WRITERS = 2  # threads that write cases while the next are made
_KEPT = 2**30  # bytes of label maps without lesions to keep


@dataclass
class Tally:
    """Numbers of lesions that were requested, drawn again, and given up."""

    lesions: int = 0
    redrawn: int = 0
    given_up: int = 0


@dataclass(frozen=True)
class SynthesisSettings:
    """Networks and settings of synthetic cases.

    Attributes:
        generator, translator: trained networks. Masks of a generator with a true `keeps_place` are not moved. One with
            `for_heights` gives a slice in MNI space masks of its own height, which are not moved either.
        stochastic: whether the translator takes noise too.
        table, problem: of both networks.
        prior: where lesions go; see `core.synthesis.placement`.
        lesion_share: share of slices (2D) or volumes (3D) that get a lesion.
        compose: what becomes the image. Edited cases need anatomies with images.
    """

    generator: nn.Module
    translator: nn.Module
    stochastic: bool
    table: LabelTable
    problem: Problem
    prior: Prior
    lesion_share: float = 0.5
    compose: Composition = Composition.TRANSLATED


@dataclass
class Draft:
    """A synthetic case before its translation, with random numbers of its own.

    Attributes:
        labels: uint8 [units, *S]: axial slices with brain (2D) or one volume (3D).
        room: bool [units, *S], where a lesion may lie.
        heights: slice number of each unit in the volume (2D).
        box: of the brain.
        waiting: units that still get a lesion.
        mirrored: whether left and right of the anatomy are swapped.
        mni: MNI height of each slice in mm (2D); None if unknown.
    """

    rng: np.random.Generator
    noise: torch.Generator
    labels: np.ndarray
    room: np.ndarray
    heights: np.ndarray
    box: Box
    waiting: list[int]
    mirrored: bool
    mni: np.ndarray | None = None

    @classmethod
    def begin(
        cls, tissue: np.ndarray, settings: SynthesisSettings, seed: Sequence[int], mni: np.ndarray | None = None
    ) -> Draft:
        """Mirror a label map without lesions at random, and choose the units that get one.

        Args:
            mni: MNI height of each of its slices in mm.
        """
        rng, problem = np.random.default_rng(list(seed)), settings.problem
        mirrored = bool(rng.random() < 0.5)
        if mirrored:
            tissue = tissue[:, :, ::-1]
        fitted = np.stack([_fit(unit, problem) for unit in (tissue if problem.dims == 2 else tissue[None])])
        heights = np.flatnonzero(fitted.reshape(len(fitted), -1).any(axis=1))
        labels = fitted[heights]
        room = np.isin(labels, settings.table.parenchyma)
        share = settings.lesion_share
        waiting = [i for i in range(len(labels)) if room[i].sum() >= SMALLEST and rng.random() < share]
        box = Box.around(fitted if problem.dims == 2 else fitted[0])
        source = torch.Generator().manual_seed(seed_of(*seed))
        mni = mni[heights] if mni is not None and problem.dims == 2 else None
        return cls(rng, source, labels, room, heights, box, waiting, mirrored, mni)

    def request(self, generator: nn.Module) -> torch.Tensor:
        """Noise for a mask of each waiting unit, at its own height where generator and slice know of heights."""
        z = noise(generator, len(self.waiting), self.noise)
        for_heights = getattr(generator, "for_heights", None)
        if self.mni is not None and for_heights is not None:
            asked: torch.Tensor = for_heights(z, torch.from_numpy(self.mni[self.waiting]).float())
            return asked
        return z

    def units_of(self, host: PreparedCase, problem: Problem) -> tuple[np.ndarray, np.ndarray]:
        """Image [units, C, *S] and labels [units, *S] of the case that gave the tissues, mirrored and cut like them."""
        image, labels = np.asarray(host.image), np.asarray(host.labels)
        if self.mirrored:
            image, labels = image[..., ::-1], labels[..., ::-1]
        units = [(image, labels)] if problem.dims == 3 else [(image[:, z], labels[z]) for z in self.heights]
        fitted = [cut(planes, own, (), problem.size) for planes, own in units]
        return np.stack([planes for planes, _ in fitted]), np.stack([own for _, own in fitted])

    def place(self, masks: np.ndarray, settings: SynthesisSettings) -> None:
        """Put one drawn mask into each waiting unit; units where it does not fit go on waiting."""
        missed, dims = [], settings.problem.dims
        generator = settings.generator
        stay = bool(getattr(generator, "keeps_place", False)) or (
            self.mni is not None and hasattr(generator, "for_heights")
        )
        for i, mask in zip(self.waiting, masks, strict=True):
            height = float(self.heights[i]) if dims == 2 else None
            place = None if stay else settings.prior.draw(self.rng, self.box, height)
            inside = place_mask(mask, self.room[i], None if place is None else place[-dims:])
            if inside is None:
                missed.append(i)
            else:
                self.labels[i][inside] = settings.table.lesion
        self.waiting = missed


@torch.inference_mode()
def draw_labels(
    tissues: Sequence[np.ndarray],
    settings: SynthesisSettings,
    seeds: Sequence[Sequence[int]],
    tally: Tally,
    mni: Sequence[np.ndarray | None] = (),
) -> list[Draft]:
    """Put new lesions into label maps. The masks of all cases are drawn together.

    Args:
        tissues: label maps without lesions, uint8 [Z, Y, X].
        seeds: of each case.
        tally: counts lesions, repeated draws and lesions that were given up.
        mni: MNI heights in mm of the slices of each, where known.

    Raises:
        RunFailed: the generator returns NaN.
    """
    generator = settings.generator
    known = mni or [None] * len(tissues)
    drafts = [Draft.begin(tissue, settings, seed, own) for tissue, seed, own in zip(tissues, seeds, known, strict=True)]
    tally.lesions += sum(len(draft.waiting) for draft in drafts)
    for attempt in range(_TRIES):
        asking = [draft for draft in drafts if draft.waiting]
        if not asking:
            break
        counts = [len(draft.waiting) for draft in asking]
        tally.redrawn += sum(counts) if attempt else 0
        z = torch.cat([draft.request(generator) for draft in asking])
        parts = z.split(units_at_once(settings.problem.size))
        masks = torch.cat([_finite(generator(part), "the generator returned")[:, 0] > 0 for part in parts]).numpy()
        for draft, own in zip(asking, np.split(masks, np.cumsum(counts)[:-1]), strict=True):
            draft.place(own, settings)
    tally.given_up += sum(len(draft.waiting) for draft in drafts)
    return drafts


@torch.inference_mode()
def render(translator: nn.Module, labels: np.ndarray, stochastic: bool) -> np.ndarray:
    """Label maps [units, *S] → images float32 [units, C, *S] in [-1, 1].

    Raises:
        RunFailed: NaN or infinite intensities, on which a segmenter would only fail later and for no reason of its own.
    """
    return _translate(translator, labels, _noise(translator, len(labels)) if stochastic else None)


@torch.inference_mode()
def render_drafts(
    drafts: Sequence[Draft], settings: SynthesisSettings, hosts: Sequence[PreparedCase | None] = ()
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Translate all cases together: image [C, Z, Y, X] and labels [Z, Y, X] of each. 2D units become slices.

    Args:
        hosts: for each draft, the case whose image is edited; None for a translated one. Empty: all are translated.
    """
    translator = settings.translator
    z = torch.cat([_noise(translator, len(d.labels), d.noise) for d in drafts]) if settings.stochastic else None
    images = _translate(translator, np.concatenate([draft.labels for draft in drafts]), z)
    made, start = [], 0
    for draft, host in zip(drafts, hosts or [None] * len(drafts), strict=True):
        own = slice(start, start := start + len(draft.labels))
        image = images[own]
        if host is not None:
            image = _edited(draft, host, image, None if z is None else z[own], settings)
        flat = settings.problem.dims == 2
        made.append((image.transpose(1, 0, 2, 3), draft.labels) if flat else (image[0], draft.labels[0]))
    return made


def _edited(
    draft: Draft, host: PreparedCase, after: np.ndarray, z: torch.Tensor | None, settings: SynthesisSettings
) -> np.ndarray:
    """The host's image [units, C, *S], edited where its labels changed; `after` is the translation of the new ones."""
    image, labels = draft.units_of(host, settings.problem)
    before = after.copy()
    changed = (draft.labels != labels).reshape(len(labels), -1).any(axis=1)
    if changed.any():
        noise = None if z is None else z[torch.from_numpy(changed)]
        before[changed] = _translate(settings.translator, labels[changed], noise)
    return edit_image(image, before, after, draft.labels > 0)


class CaseMaker:
    """Makes `count` synthetic cases, several at a time.

    Each case depends on its own seed. Which cases go through the networks together depends on `count` alone, so that an
    interrupted synthesis goes on with the same voxels. Alone, a case differs by rounding (1e-5 in intensity), and a
    voxel of its lesion where the generator's logit is that close to zero.

    Args:
        anatomies: give the tissues, each in turn.
        seed: of all random numbers; that of a case is (seed, its number).

    Attributes:
        tally: how the drawing of lesions went so far.
    """

    def __init__(self, anatomies: Sequence[PreparedCase], settings: SynthesisSettings, count: int, seed: int):
        self.anatomies, self.settings, self.count, self.seed = anatomies, settings, count, seed
        self.tally = Tally()
        self._tissues: dict[int, np.ndarray] = {}

    def cases(
        self, is_made: Callable[[int], bool], recount: bool = False
    ) -> Iterator[tuple[int, tuple[np.ndarray, np.ndarray] | None]]:
        """Yield (number, (image [C, Z, Y, X], labels [Z, Y, X])) for each case, and (number, None) if it is made.

        Args:
            is_made: whether the case with this number exists.
            recount: draw the lesions of existing cases again, for the tally.
        """
        size = self.settings.problem.size
        together = _TOGETHER if len(size) == 2 else units_at_once(size)
        for start in range(0, self.count, together):
            group = range(start, min(start + together, self.count))
            missing = {index for index in group if not is_made(index)}
            made: list[tuple[np.ndarray, np.ndarray]] = []
            if missing or recount:
                tissues = [self._tissue(index) for index in group]
                seeds = [(self.seed, index) for index in group]
                mni = [self.anatomy(index).mni_heights for index in group]
                drafts = draw_labels(tissues, self.settings, seeds, self.tally, mni)
                hosts = [
                    self.anatomy(index) if self.composition(index) is Composition.EDITED else None for index in group
                ]
                made = render_drafts(drafts, self.settings, hosts) if missing else []
            for place, index in enumerate(group):
                yield index, made[place] if index in missing else None

    def anatomy(self, index: int) -> PreparedCase:
        """The case that gives the tissues of this one."""
        return self.anatomies[index % len(self.anatomies)]

    def composition(self, index: int) -> Composition:
        """Whether this case is translated or edited. Of both, each anatomy gets them in turn."""
        if self.settings.compose is not Composition.BOTH:
            return self.settings.compose
        turn = index + index // len(self.anatomies)
        return Composition.EDITED if turn % 2 else Composition.TRANSLATED

    def _tissue(self, index: int) -> np.ndarray:
        """The label map of an anatomy without its lesion, found once as long as they fit into memory."""
        place = index % len(self.anatomies)
        if place in self._tissues:
            return self._tissues[place]
        tissue = remove_lesion(self.anatomies[place].labels, self.settings.table.lesion)
        if sum(kept.nbytes for kept in self._tissues.values()) + tissue.nbytes <= _KEPT:
            self._tissues[place] = tissue
        return tissue


def write_cases(
    cases: Iterable[tuple[int, tuple[np.ndarray, np.ndarray] | None]],
    write: Callable[[int, np.ndarray, np.ndarray], object],
) -> Iterator[int]:
    """Write cases in threads while the next ones are made. Yields the number of each once it exists, in order.

    Args:
        cases: see `CaseMaker.cases`.
        write: called with number, image and labels, in a thread.
    """
    pending = deque[tuple[int, Future[object] | None]]()
    with ThreadPoolExecutor(_WRITERS) as writers:

        def finish() -> int:
            index, writing = pending.popleft()
            if writing is not None:
                writing.result()
            return index

        for index, made in cases:
            pending.append((index, None if made is None else writers.submit(write, index, *made)))
            if len(pending) > 2 * _WRITERS:
                yield finish()
        while pending:
            yield finish()


def write_database(
    folder: Path,
    anatomies: Sequence[PreparedCase],
    settings: SynthesisSettings,
    count: int,
    seed: int,
    on_case: Callable[[int], None] = lambda done: None,
) -> Tally:
    """Write `count` synthetic cases as prepared cases `folder/0000` …; finished ones are kept as they are.

    Args:
        anatomies: give the tissues, each in turn.

    Returns:
        The tally over all cases.
    """
    maker = CaseMaker(anatomies, settings, count, seed)

    def place(index: int) -> Path:
        return folder / f"{index:04d}"

    def write(index: int, image: np.ndarray, labels: np.ndarray) -> None:
        write_prepared(place(index), place(index).name, image, labels, settings.table.lesion)

    for index in write_cases(maker.cases(lambda index: place(index).is_dir(), recount=True), write):
        on_case(index + 1)
    return maker.tally


def read_database(folder: Path, lesion: int) -> list[PreparedCase]:
    """The synthetic cases of a finished database."""
    return [PreparedCase(place.name, place, lesion) for place in sorted(folder.glob("[0-9]*")) if place.is_dir()]


def _noise(model: nn.Module, count: int, generator: torch.Generator | None = None) -> torch.Tensor:
    """Noise [count, Z], drawn for `_UNITS` rows at a time, which the numbers depend on."""
    parts = [noise(model, min(_UNITS, count - start), generator) for start in range(0, count, _UNITS)]
    return torch.cat(parts) if parts else noise(model, 0, generator)


def _translate(translator: nn.Module, labels: np.ndarray, z: torch.Tensor | None) -> np.ndarray:
    """Label maps [units, *S] and noise [units, Z] → images float32 [units, C, *S] in [-1, 1]."""
    device, count = device_of(translator), units_at_once(labels.shape[1:])
    images = []
    for start in range(0, len(labels), count):
        part = torch.from_numpy(labels[start : start + count].astype(np.uint8))
        extra = () if z is None else (z[start : start + count],)
        image = _finite(translator(part.to(device).long(), *extra), "the translator returned")
        images.append(torch.where(part[:, None] == 0, -1.0, image))  # background is empty, as in the scans
    return torch.cat(images).clamp(-1.0, 1.0).numpy()


def _finite(output: torch.Tensor, who: str) -> torch.Tensor:
    output = output.float().cpu()
    if not output.isfinite().all():
        raise RunFailed(f"{who} NaN or infinite values; look at its losses, lower its learning rate, or train in fp32")
    return output


def _fit(unit: np.ndarray, problem: Problem) -> np.ndarray:
    return cut(np.zeros((1, *unit.shape), np.float32), unit, (), problem.size)[1]

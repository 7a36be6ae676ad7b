"""Batches a second of 16 axial slices, beside MONAI's and TorchIO's; with and without augmentation.

All hold the same cases in memory (memory-mapped or cached), cut the same slices (every second around a lesion) and
augment alike or not at all: flip, affine map, gain, gamma, coil shading, noise, blur. Each may use two cores. MONAI is
given its best: where lesions lie is found once and cached, two cases fill a batch, and tensors carry no metadata.
TorchIO changes the slices after they are cut, not the volumes that its queue would change; it has no gain.
Rounds alternate, so that a busy machine slows all of them down alike. Without workers, CPU time is measured; workers of
the others are processes, so wall time is measured with them.
The last group is what artefacts cost, which are off in both.

pytest benchmarks/test_sampling.py -s
"""

from __future__ import annotations

import contextlib
import importlib.util
import itertools
import math
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from strokereg.core.train.artefacts import KINDS, Artefacts, add_artefacts, require_libraries
from strokereg.core.train.augmentation import FULL
from strokereg.core.train.prepared import PreparedCase, write_prepared
from strokereg.core.train.sampler import CasePool, Prefetcher, Sampler
from strokereg.registry.problem import Problem

SIZE, SLICES, CASES, BATCH, LESION = (112, 112), 73, 12, 16, 6
ROUNDS, BATCHES = 5, 20  # batches of a round
AHEAD = 6  # more than any of the loaders draws ahead while another one has its round


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> list[PreparedCase]:
    """Smooth heads of ISLES'22 size with a lesion each."""
    folder = tmp_path_factory.mktemp("cases")
    z, y, x = np.meshgrid(*(np.linspace(-1, 1, n, dtype=np.float32) for n in (SLICES, *SIZE)), indexing="ij")
    made = []
    for number in range(CASES):
        rng = np.random.default_rng(number)
        labels = np.where((x / 0.7) ** 2 + (y / 0.85) ** 2 + (z / 0.9) ** 2 < 1, 1 + (abs(x) < 0.3), 0)
        centre = rng.uniform(-0.4, 0.4, 3)
        labels[((x - centre[0]) ** 2 + (y - centre[1]) ** 2 + (z - centre[2]) ** 2 < 0.02) & (labels > 0)] = LESION
        image = np.where(labels > 0, -0.6 + 0.1 * labels + rng.normal(0, 0.03, labels.shape), -1.0)
        made.append(write_prepared(folder / str(number), str(number), image[None], labels, LESION))
    return made


@pytest.fixture
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def ours(cases: list[PreparedCase], workers: int, augmented: bool, stack: contextlib.ExitStack) -> Iterator[Any]:
    problem = Problem(dims=2, labels=LESION + 1, size=SIZE)
    sampler = Sampler([CasePool(cases)], problem, BATCH, 0, FULL if augmented else None)
    ahead = stack.enter_context(Prefetcher(sampler, workers))
    return (ahead.batch(step) for step in itertools.count())


def monai(cases: list[PreparedCase], workers: int, augmented: bool) -> Iterator[Any]:
    from monai import transforms as t
    from monai.data import CacheDataset, DataLoader, set_track_meta

    set_track_meta(False)
    keys, turn = ["image", "labels"], math.radians(FULL.rotate)
    found = {"fg_indices_key": "lesion_fg_indices", "bg_indices_key": "lesion_bg_indices"}
    cut = [
        t.FgBgToIndicesd("lesion"),
        t.RandCropByPosNegLabeld(keys, "lesion", (1, *SIZE), pos=1, neg=1, num_samples=BATCH // 2, **found),
        t.SelectItemsd(keys),
        t.SqueezeDimd(keys, dim=1),
    ]
    change = t.Compose(
        cut
        + augmented
        * [
            t.RandAffined(
                keys,
                prob=1.0,
                rotate_range=turn,
                scale_range=(FULL.zoom,) * 2,
                shear_range=(FULL.shear,) * 2,
                translate_range=tuple(FULL.shift * n for n in SIZE),
                mode=("bilinear", "nearest"),
                padding_mode="border",
            ),
            t.RandFlipd(keys, 0.5, spatial_axis=1),
            t.RandGaussianSmoothd("image", prob=FULL.blur),
            t.RandScaleIntensityd("image", FULL.gain, prob=1.0),
            t.RandAdjustContrastd("image", prob=1.0, gamma=(1 - FULL.gamma, 1 + FULL.gamma)),
            t.RandBiasFieldd("image", prob=1.0, degree=1, coeff_range=(0.0, FULL.shading)),
            t.RandGaussianNoised("image", prob=1.0, std=FULL.noise / 2),
        ]
    )
    data = [
        {
            "image": torch.from_numpy(np.array(c.image)),
            "labels": torch.from_numpy(np.array(c.labels))[None],
            "lesion": torch.from_numpy(c.mask)[None],
        }
        for c in cases
    ] * 50  # an epoch that outlasts the benchmark, so that starting workers is not timed
    dataset = CacheDataset(data, change, cache_rate=1.0, progress=False)
    # Two cases of eight slices a batch, which spares MONAI half of the searching for lesions.
    loader = DataLoader(dataset, batch_size=2, shuffle=True, num_workers=workers, persistent_workers=workers > 0)
    return (batch for _ in itertools.count() for batch in loader)


class Slices(torch.utils.data.IterableDataset):
    """Slices that TorchIO cuts and changes; every second around a lesion."""

    def __init__(self, cases: list[PreparedCase], change: Any):
        import torchio

        self.change, self.sampler = change, torchio.LabelSampler((*SIZE, 1), "lesion", {0: 1, 1: 1})
        self.subjects = [
            torchio.Subject(
                image=torchio.ScalarImage(tensor=torch.from_numpy(np.array(c.image)).movedim(1, -1)),
                labels=torchio.LabelMap(tensor=torch.from_numpy(np.array(c.labels))[None].movedim(1, -1)),
                lesion=torchio.LabelMap(tensor=torch.from_numpy(c.mask.astype(np.uint8))[None].movedim(1, -1)),
            )
            for c in cases
        ]

    def __iter__(self) -> Iterator[dict[str, torch.Tensor]]:
        while True:
            subject = self.subjects[int(torch.randint(len(self.subjects), ()))]
            for part in self.sampler(subject, 8):
                changed = part if self.change is None else self.change(part)
                yield {name: changed[name].data[..., 0] for name in ("image", "labels")}


def torchio_batches(cases: list[PreparedCase], workers: int, augmented: bool) -> Iterator[Any]:
    import torchio

    shift = FULL.shift * SIZE[0]
    change = torchio.Compose(
        [
            torchio.RandomAffine(
                scales=FULL.zoom,
                degrees=(0, 0, 0, 0, -FULL.rotate, FULL.rotate),
                translation=(-shift, shift, -shift, shift, 0, 0),
            ),
            torchio.RandomFlip(axes=(1,)),
            torchio.RandomBlur(std=(0.5, 1.0, 0.5, 1.0, 0, 0), p=FULL.blur),
            torchio.RandomGamma(FULL.gamma),
            torchio.RandomBiasField(FULL.shading, order=1),
            torchio.RandomNoise(std=(0, FULL.noise / 2)),
        ]
    )
    dataset = Slices(cases, change if augmented else None)
    loader = torch.utils.data.DataLoader(dataset, batch_size=BATCH, num_workers=workers, persistent_workers=workers > 0)
    return iter(loader)


def seconds_of(batches: Iterator[Any], clock: Callable[[], float]) -> float:
    """Time of a round."""
    for _ in itertools.islice(batches, AHEAD):
        pass
    begun = clock()
    for batch in itertools.islice(batches, BATCHES):
        assert len(batch["image"] if isinstance(batch, dict) else batch.image) == BATCH
    return clock() - begun


@pytest.mark.parametrize("augmented", [True, False], ids=["augmented", "plain"])
@pytest.mark.parametrize("workers", [0, 2])
def test_batches_a_second(cases: list[PreparedCase], one_thread: None, workers: int, augmented: bool) -> None:
    peers = {"monai": monai, "torchio": torchio_batches}
    missing = [name for name in peers if importlib.util.find_spec(name) is None]
    if len(missing) == len(peers):
        pytest.skip("neither monai nor torchio is installed; install one of them with pip")
    clock = time.perf_counter if workers else time.process_time
    with contextlib.ExitStack() as stack:
        loaders = {"strokereg": ours(cases, workers, augmented, stack)}
        loaders |= {name: make(cases, workers, augmented) for name, make in peers.items() if name not in missing}
        rounds = [{name: seconds_of(loader, clock) for name, loader in loaders.items()} for _ in range(ROUNDS + 1)][1:]
    print(f"\n{'augmented' if augmented else 'plain'}, {workers} workers, {'wall' if workers else 'CPU'} time")
    for name in loaders:
        rate = statistics.median(BATCHES / round_[name] for round_ in rounds)
        share = statistics.median(round_["strokereg"] / round_[name] for round_ in rounds)
        print(f"  {name}: {rate:.0f} batches/s; strokereg takes {share:.2f} of its time")
    for name in missing:
        print(f"  {name}: not installed, so not measured")


def test_prepare(benchmark: Any, tmp_path: Path) -> None:
    """One case of ISLES'22 size onto the 2 mm grid, files included."""
    from strokereg.core.cohort.case import CaseFiles
    from strokereg.core.cohort.labels import TISSUES
    from strokereg.core.scan.grid import Preparation
    from strokereg.core.simulate.anatomy import load_anatomy
    from strokereg.core.simulate.folder import write_subject
    from strokereg.core.simulate.subject import simulate_subject
    from strokereg.core.train.prepared import prepare_cases

    write_subject(tmp_path, "sub-1", simulate_subject(np.random.default_rng(0), load_anatomy(None), 10.0))
    derived = tmp_path / "derivatives" / "strokereg" / "sub-1" / "dwi"
    case = CaseFiles(
        "sub-1",
        "sub-1",
        {"dwi": tmp_path / "sub-1" / "dwi" / "sub-1_dwi.nii.gz"},
        derived / "sub-1_desc-lesion_mask.nii.gz",
        derived / "sub-1_dseg.nii.gz",
    )
    preparation, caches = Preparation(spacing=(2.0, 2.0, 2.0)), map(str, itertools.count())

    def prepare() -> int:
        return len(prepare_cases([case], preparation, TISSUES, tmp_path / "cache" / next(caches)))

    assert benchmark.pedantic(prepare, rounds=5, warmup_rounds=1) == 1


@pytest.mark.benchmark(group="an artefact on each of 16 slices or 2 volumes")
@pytest.mark.parametrize("shape", [(16, 1, 112, 112), (2, 1, 64, 64, 64)], ids=["slices", "volumes"])
@pytest.mark.parametrize("kind", KINDS)
def test_artefacts(benchmark: Any, one_thread: None, kind: str, shape: tuple[int, ...]) -> None:
    how = Artefacts(**{kind: 1.0})
    require_libraries(how, "benchmark")
    image = torch.rand(shape, generator=torch.Generator().manual_seed(0)) * 1.5 - 0.9
    changed = benchmark.pedantic(add_artefacts, (image, how, 0), rounds=10, warmup_rounds=2)
    assert changed.shape == shape

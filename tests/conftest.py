"""Fixtures that every room's tests share."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest_plugins = ["tests.browser"]

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # timm must not wait for a hub that is not there


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests first, so that no process is left with a long one while the others have nothing to do."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder with the real scans (isles22, soop, synthseg), or a skip that says where it was looked for."""
    folder = Path(os.environ.get("STROKEREG_TEST_DATA", Path(__file__).parents[2] / "shared" / "data"))
    if not (folder / "isles22").is_dir():
        pytest.skip(f"real test data not found in {folder}; set STROKEREG_TEST_DATA to its folder")
    return folder


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory) -> Iterator[Path]:
    """The cache of all tests, of their worker processes too: a temporary folder, never the user's own."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STROKEREG_CACHE", str(folder))
        yield folder


@pytest.fixture(scope="session")
def small_cohort(tmp_path_factory) -> Path:
    """Ten cases of the real simulator on a coarse grid, with their split (6 : 1 : 3); about 5 s to make."""
    from strokereg.core.simulate import Simulation, simulate_cohort

    out = tmp_path_factory.mktemp("simulated") / "coarse"
    return simulate_cohort(out, Simulation(10, shape=(48, 48, 32), spacing=4.7), workers=1)


@pytest.fixture(scope="session")
def phantom(tmp_path_factory) -> Path:
    """A little BIDS cohort of three ellipsoid 'brains' with a bright lesion: DWI, ADC, label maps, masks, no split."""
    import json

    import numpy as np

    from strokereg.core.cohort.labels import TISSUES
    from strokereg.core.scan.nifti import write_volume

    root = tmp_path_factory.mktemp("phantom")
    (root / "dataset_description.json").write_text(json.dumps({"Name": "phantom", "BIDSVersion": "1.9.0"}))
    derived = root / "derivatives" / "truth"
    derived.mkdir(parents=True)
    TISSUES.write(derived / "dseg.tsv")
    affine = np.diag([3.0, 3.0, 3.0, 1.0])
    x, y, z = np.meshgrid(*(np.linspace(-1, 1, n) for n in (30, 34, 22)), indexing="ij")
    for number in range(1, 4):
        rng = np.random.default_rng(number)
        brain = (x / 0.8) ** 2 + (y / 0.85) ** 2 + (z / 0.85) ** 2 < 1
        centre = rng.uniform(-0.35, 0.35, 3)
        lesion = (x - centre[0]) ** 2 + (y - centre[1]) ** 2 + (z - centre[2]) ** 2 < 0.05
        labels = np.where(lesion, 6, np.where(brain, np.where(abs(x) < 0.3, 5, 3), 0)).astype(np.uint8)
        dwi = np.where(brain, 100.0 + 80.0 * lesion + rng.normal(0, 8, brain.shape), 0).astype(np.float32)
        adc = np.where(brain, 800.0 - 400.0 * lesion + rng.normal(0, 40, brain.shape), 0).astype(np.float32)
        raw, truth = root / f"sub-{number:02}" / "dwi", derived / f"sub-{number:02}" / "dwi"
        raw.mkdir(parents=True)
        truth.mkdir(parents=True)
        write_volume(raw / f"sub-{number:02}_dwi.nii.gz", dwi, affine)
        write_volume(raw / f"sub-{number:02}_adc.nii.gz", adc, affine)
        write_volume(truth / f"sub-{number:02}_dseg.nii.gz", labels, affine)
        write_volume(truth / f"sub-{number:02}_desc-lesion_mask.nii.gz", lesion.astype(np.uint8), affine)
    return root


def _write_slices(root: Path, contrast: str, images, labels, masks, affine) -> Path:
    """A cohort of single slices with a split: three training cases, one of validation, two of test."""
    import json

    from strokereg.core.cohort.labels import TISSUES
    from strokereg.core.cohort.split import SPLIT_FILE, Split
    from strokereg.core.scan.nifti import write_volume

    derived = root / "derivatives" / "truth"
    derived.mkdir(parents=True)
    (root / "dataset_description.json").write_text(json.dumps({"Name": contrast, "BIDSVersion": "1.10.0"}))
    TISSUES.write(derived / "dseg.tsv")
    subjects = tuple(f"sub-{number}" for number in range(1, 7))
    for subject, image, label, mask in zip(subjects, images, labels, masks, strict=True):
        stem = f"{subject}_space-MNI152NLin6Asym"
        for folder in (root / subject / "anat", derived / subject / "anat"):
            folder.mkdir(parents=True)
        write_volume(root / subject / "anat" / f"{stem}_{contrast}.nii.gz", image[:, :, None], affine)
        write_volume(derived / subject / "anat" / f"{stem}_dseg.nii.gz", label[:, :, None], affine)
        write_volume(derived / subject / "anat" / f"{stem}_desc-lesion_mask.nii.gz", mask[:, :, None], affine)
    Split(subjects[:3], subjects[3:4], subjects[4:]).write(root / SPLIT_FILE)
    return root


@pytest.fixture(scope="session")
def flair_cohort(tmp_path_factory) -> Path:
    """Six real FLAIR slices with a lesion, of the embedded cohort."""
    import numpy as np

    from strokereg.core.cohort.embedded import ARCHIVE

    with np.load(ARCHIVE, allow_pickle=False) as archive:
        parts = [archive[name] for name in ("images", "labels", "masks")]
        affine = archive["affine"]
    masks = np.unpackbits(parts[2][:6], axis=-1, count=parts[0].shape[-1])
    root = tmp_path_factory.mktemp("flair") / "flair"
    return _write_slices(root, "FLAIR", parts[0][:6], parts[1][:6], masks, affine)


@pytest.fixture(scope="session")
def t1w_cohort(tmp_path_factory, flair_cohort) -> Path:
    """Six slices of the MNI152 average T1w scan at different heights, with real lesions in it."""
    import numpy as np
    from nilearn.datasets import load_mni152_template

    from strokereg.core.cohort.cohort import open_cohort
    from strokereg.core.cohort.importing.transfer import onto
    from strokereg.core.scan.nifti import Volume, read_volume

    template = load_mni152_template(resolution=2)
    volume = Volume(np.asarray(template.dataobj, np.float32), template.affine, Path("MNI152"))
    masks = [read_volume(case.mask) for case in open_cohort(flair_cohort).cases]
    images, labels, lesions = [], [], []
    for number, mask in enumerate(masks):
        affine = mask.affine.copy()
        affine[2, 3] += 2.0 * number
        image = onto(volume, Volume(mask.data, affine, mask.path), 1)[:, :, 0]
        lesion = (mask.data[:, :, 0] > 0) & (image > 0.2 * image.max())
        images.append((image * np.where(lesion, 60, 100)).astype(np.float32))
        labels.append(np.where(lesion, 6, np.digitize(image / image.max(), (0.1, 0.5, 0.8))).astype(np.uint8))
        lesions.append(lesion.astype(np.uint8))
    return _write_slices(tmp_path_factory.mktemp("t1w") / "t1w", "T1w", images, labels, lesions, masks[0].affine)


@pytest.fixture(scope="session")
def make_run(tmp_path_factory, phantom):
    """A function that makes a finished run folder of a built-in, with given or fresh weights."""
    import torch
    from safetensors.torch import save_file

    from strokereg.core.cohort.labels import TISSUES
    from strokereg.core.roles import delivered_weights
    from strokereg.core.scan.grid import Preparation
    from strokereg.core.scan.postprocess import Postprocessing
    from strokereg.core.train.record import WEIGHTS, Record
    from strokereg.registry.catalogue import build, find
    from strokereg.registry.problem import Problem

    def make(
        name: str, dims: int = 2, fit=None, channels: tuple[str, ...] = ("dwi",), cohort: Path = phantom, **options
    ) -> Path:
        folder = tmp_path_factory.mktemp(name)
        entry = find(name)
        record = Record(
            architecture=name,
            role=entry.spec.role,
            distribution=entry.distribution,
            version=entry.version,
            problem=Problem(dims=dims, size=(32,) * dims, channels=len(channels)),
            options=options,
            preparation=Preparation(channels=channels, multiple=(16, 16, 1 if dims == 2 else 16)),
            labels=TISSUES.names,
            cohort={
                "name": "phantom" if cohort == phantom else cohort.name,
                "path": str(cohort),
                "simulated": cohort == phantom,
            },
            postprocessing=Postprocessing(threshold=0.4, smallest_ml=0.1) if entry.spec.role == "segmenter" else None,
            done=True,
        )
        torch.manual_seed(0)
        model = build(name, record.problem, record.options)
        if fit is not None:
            fit(model, record)
        save_file({key: value.contiguous() for key, value in delivered_weights(model).items()}, folder / WEIGHTS)
        record.write(folder)
        return folder

    return make


@pytest.fixture(scope="session")
def unet_run(make_run) -> Path:
    """A small U-Net that has learnt the phantom's lesions: a finished segmenter run."""
    import numpy as np
    import torch

    from strokereg.core.cohort.case import read_case
    from strokereg.core.cohort.cohort import open_cohort
    from strokereg.core.roles import Batch
    from strokereg.core.train.prepared import prepare_image

    def fit(model, record):
        cohort = open_cohort(record.cohort["path"])
        cases = [read_case(files, table=cohort.table) for files in cohort.cases]
        prepared = [(prepare_image(case, record.preparation), case) for case in cases]
        image = torch.from_numpy(np.concatenate([image.transpose(1, 0, 2, 3) for (image, _), _ in prepared]))
        labels = np.concatenate([frame.labels(case.labels, cohort.table.count) for (_, frame), case in prepared])
        labels = torch.from_numpy(labels.astype(np.int64))
        optimiser = torch.optim.AdamW(model.parameters(), lr=1e-2)
        for step in range(40):
            chosen = torch.randperm(len(image), generator=torch.Generator().manual_seed(step))[:16]
            mask = (labels[chosen] == cohort.table.lesion).float()[:, None]
            _, losses = next(model.moves(Batch(labels[chosen], image[chosen], mask)))
            optimiser.zero_grad()
            sum(losses.values()).backward()
            optimiser.step()

    return make_run("unet", fit=fit, widths=[8, 16, 16])


@pytest.fixture(scope="session")
def exported(unet_run, tmp_path_factory) -> dict[str, Path]:
    """Format → file of that U-Net, exported once for all tests."""
    import strokereg

    formats = ("onnx", "torchscript", "pt2", "scan")
    files = strokereg.export(unet_run, formats=formats, out=tmp_path_factory.mktemp("exported"))
    return dict(zip(formats, files, strict=True))


class InProcess:
    """An executor without processes that remembers what it had to do."""

    def __init__(self):
        self.done = []

    def resolve(self, device, precision):
        return "cpu", "fp32"

    def run(self, context, tasks, callbacks):
        from strokereg.core.study.tasks import is_done, perform

        known = {task.key: task for task in tasks}
        for task in known.values():
            if not is_done(context, task):
                perform(context, task, {key: known[key] for key in task.needs}, lambda *said: None)
                self.done.append(task)
        return {}


def small_settings(cohort, **changes):
    """An untrained translator and a mixer, four steps of a thin segmenter."""
    from strokereg.core.study.settings import complete_settings

    asked = {"models": ("random-contrast", "carvemix"), "steps": {"segmenter": 4, "generator": 2}, **changes}
    return complete_settings(asked.pop("models"), cohort, "smoke", **asked)


@pytest.fixture(scope="session")
def small():
    """`small(cohort, **changes)` → settings of the small study."""
    return small_settings


@pytest.fixture(scope="session")
def small_context():
    """`small_context(cohort, store, **changes)` → the context of a study."""

    from strokereg.core.cohort.cohort import open_cohort
    from strokereg.core.study.context import make_context

    def do(cohort: Path, store: Path, **changes):
        settings = small_settings(cohort, **changes)
        return make_context(settings, open_cohort(cohort), store)

    return do


@pytest.fixture(scope="session")
def run_small():
    """`run_small(cohort, out, **changes)` → what came out, and the executor."""

    from strokereg.core.cohort.cohort import open_cohort
    from strokereg.core.study.compare import run_study
    from strokereg.core.study.context import make_context
    from strokereg.core.study.executor import NoCallbacks

    def run(cohort: Path, out: Path, store: Path | None = None, notes: Path | None = None, **changes):
        settings = small_settings(cohort, **changes)
        here = InProcess()
        context = make_context(settings, open_cohort(cohort), store or out / "runs")
        return run_study(context, out, here, NoCallbacks(), "test", notes), here

    return run


@pytest.fixture(scope="session")
def small_notes(tmp_path_factory) -> Path:
    """Where the small study's store is noted."""
    return tmp_path_factory.mktemp("notes")


@pytest.fixture(scope="session")
def small_study(small_cohort, tmp_path_factory, run_small, small_notes):
    """The finished study; nobody writes into its folder."""
    return run_small(small_cohort, tmp_path_factory.mktemp("small") / "out", notes=small_notes)[0]


@pytest.fixture(scope="session")
def write_ball():
    """`write_ball(path, centre, radius, spacing)`: a lesion mask in MNI space, a ball in mm on a grid of 160 mm."""
    import numpy as np

    from strokereg.core.scan.nifti import write_volume

    def write(path: Path, centre, radius: float, spacing: float) -> None:
        start = (-80, -108, -76)
        mm = np.stack(np.meshgrid(*(np.arange(low, low + 160, spacing) for low in start), indexing="ij"))
        affine = np.diag([spacing, spacing, spacing, 1.0])
        affine[:3, 3] = start
        inside = ((mm - np.reshape(centre, (3, 1, 1, 1))) ** 2).sum(axis=0) < radius**2
        write_volume(path, inside.astype(np.uint8), affine)

    return write

"""A cohort is checked and prepared, and each role is trained on its share of lesions and synthetic cases."""

from __future__ import annotations

import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch

from strokereg.core.cohort.cohort import default_channels, open_cohort
from strokereg.core.cohort.labels import BRAIN
from strokereg.core.cohort.split import Split
from strokereg.core.train.dataset import DatasetSettings, prepare_dataset
from strokereg.core.train.sampler import sampler_of
from strokereg.core.train.trainer import TrainerSettings
from strokereg.registry.errors import InputError
from strokereg.registry.specs import GeneratorSpec, SegmenterSpec, TranslatorSpec

BOTH = DatasetSettings(channels=("dwi", "adc"), spacing=(8.0,) * 3)


@pytest.fixture(scope="module")
def dataset(small_cohort, tmp_path_factory):
    return prepare_dataset(open_cohort(small_cohort), BOTH, tmp_path_factory.mktemp("prepared"))


def test_every_training_brain_fits(dataset):
    assert (len(dataset.train), len(dataset.validation), len(dataset.test_files)) == (6, 1, 3)
    assert dataset.problem.channels == 2
    assert dataset.problem.labels == dataset.table.count == 7
    y, x = dataset.problem.size
    assert (x, y) == dataset.preparation.size[:2]
    assert x % 16 == y % 16 == 0
    for case in dataset.train:
        assert case.image.shape == (2, *case.labels.shape)
        assert case.labels.shape[1:] == (y, x)
    assert dataset.facts["simulated"]
    assert [case.name for case in dataset.train] == [files.name for files in dataset.train_files]


def test_the_grid_does_not_hang_on_cases_that_are_not_trained_on(dataset, small_cohort, tmp_path):
    fewer = shutil.copytree(small_cohort, tmp_path / "fewer")
    rows = (fewer / "split.tsv").read_text().splitlines()
    (fewer / "split.tsv").write_text("\n".join(rows[:-2]) + "\n")
    again = prepare_dataset(open_cohort(fewer), BOTH, tmp_path / "prepared")
    assert len(again.test_files) == 1
    assert again.preparation == dataset.preparation
    assert again.facts["key"] != dataset.facts["key"]


def test_volumes_have_edges_that_halve(small_cohort, tmp_path):
    dataset = prepare_dataset(open_cohort(small_cohort), DatasetSettings(spacing=(8.0,) * 3, dims=3), tmp_path)
    assert len(dataset.problem.size) == 3
    assert all(n % 16 == 0 for n in dataset.problem.size)


@pytest.mark.parametrize(("kind", "share"), [(GeneratorSpec, 1.0), (TranslatorSpec, 0.5), (SegmenterSpec, 0.5)])
def test_a_role_sees_its_share_of_lesions(dataset, kind, share):
    """A sample shows a lesion if it had to (`share`), or by chance, as often as slices of brain do (`chance`)."""
    spec = kind(name="net", factory="a:B", summary="")
    sampler = sampler_of(spec, dataset.problem, TrainerSettings(batch_size=128), dataset.train)
    brain, lesion = (
        [int(np.any(shown, axis=(1, 2)).sum()) for shown in each]
        for each in ([case.labels for case in dataset.train], [case.mask for case in dataset.train])
    )
    assert min(lesion) > 0
    chance = float(np.mean(np.divide(lesion, brain)))
    assert chance < 0.7  # or no share could be told from another
    shown = np.mean([float(sampler.batch(step).mask.flatten(1).any(1).float().mean()) for step in range(8)])
    assert shown == pytest.approx(share + (1.0 - share) * chance, abs=0.06)


def test_synthetic_cases_fill_their_share_of_each_batch(dataset):
    spec = SegmenterSpec(name="net", factory="a:B", summary="")
    settings = TrainerSettings(batch_size=8)

    def drawn(clinical, synthetic):
        pools = sampler_of(spec, dataset.problem, settings, clinical, synthetic, 0.25)
        return pools._counts(0).tolist()

    assert drawn(dataset.train[:3], dataset.train[3:]) == [6, 2]
    assert drawn(dataset.train[:3], ()) == drawn((), dataset.train[3:]) == [8]


def test_only_an_unpaired_translator_gets_strangers(dataset):
    for paired in (True, False):
        spec = TranslatorSpec(name="net", factory="a:B", summary="", paired=paired)
        batch = sampler_of(spec, dataset.problem, TrainerSettings(batch_size=16), dataset.train).batch(0)
        assert torch.equal(batch.mask[:, 0] > 0, batch.labels == dataset.problem.lesion) == paired
        assert np.isfinite(batch.image.numpy()).all()


def test_a_faulty_case_stops_before_any_training_and_warnings_are_logged(phantom, tmp_path, caplog):
    root = shutil.copytree(phantom, tmp_path / "cohort")
    Split(("sub-01",), ("sub-02",), ("sub-03",)).write(root / "split.tsv")
    cache, dwi = tmp_path / "cache", DatasetSettings(spacing=(6.0,) * 3)
    both = dwi.model_copy(update={"channels": ("dwi", "adc")})
    prepare_dataset(open_cohort(root), dwi, cache)
    warned = [record.getMessage() for record in caplog.records]
    assert len(warned) == 3  # one for each case's ADC, which is in 10⁻⁶ mm²/s
    assert all("is in 10⁻⁶ mm²/s" in line for line in warned)
    adc, scan = (root / "sub-03" / "dwi" / f"sub-03_{kind}.nii.gz" for kind in ("adc", "dwi"))
    adc.write_bytes(adc.read_bytes()[:-50])
    prepare_dataset(open_cohort(root), dwi, cache)  # not used, so no reason to stop
    with pytest.raises(InputError, match=r"sub-03: .*sub-03_adc\.nii\.gz: damaged or truncated"):
        prepare_dataset(open_cohort(root), both, cache)
    shutil.copy(root / "sub-01" / "dwi" / "sub-01_dwi.nii.gz", scan)
    with pytest.raises(InputError, match=r"sub-03_dwi.*same image as sub-01, in train and in test; take one out"):
        prepare_dataset(open_cohort(root), dwi, cache)


def test_a_cohort_without_label_maps_has_brain_and_lesion_as_labels(flair_cohort, tmp_path):
    root = shutil.copytree(flair_cohort, tmp_path / "cohort")
    how, cache = DatasetSettings(spacing=(6.0,) * 3), tmp_path / "cache"
    mapped = prepare_dataset(open_cohort(root), how, cache)
    next(root.glob("derivatives/truth/sub-6/anat/*_dseg.nii.gz")).unlink()
    plain = prepare_dataset(open_cohort(root), how, cache)
    assert (plain.table, plain.problem.labels) == (BRAIN, 3)
    for ours, theirs in zip(plain.train, mapped.train, strict=True):
        assert np.array_equal(ours.image, theirs.image)
        assert np.mean(ours.mask != theirs.mask) < 0.01  # by voxels of which no label has half
        assert set(np.unique(ours.labels)) == {0, 1, 2}
    with pytest.raises(InputError, match=r"sub-6 has no tissue label map, needed by spade and flow; make label maps"):
        prepare_dataset(open_cohort(root), how, cache, tissues_for=("spade", "flow"))


def test_a_cohort_of_one_contrast_needs_no_channels(flair_cohort, t1w_cohort, tmp_path, caplog):
    for root, contrast in ((flair_cohort, "FLAIR"), (t1w_cohort, "T1w")):
        cohort = open_cohort(root)
        assert cohort.contrasts == default_channels(cohort) == (contrast,)
        found = prepare_dataset(cohort, DatasetSettings(spacing=(6.0,) * 3), tmp_path)
        assert found.preparation.channels == (contrast,)
        assert f"has {contrast} images only, so these are used" in caplog.text
        named = prepare_dataset(cohort, DatasetSettings(channels=(contrast.lower(),), spacing=(6.0,) * 3), tmp_path)
        assert [case.folder for case in named.train] == [case.folder for case in found.train]
    files = next(iter(open_cohort(flair_cohort).cases))
    both = replace(open_cohort(flair_cohort), cases=(replace(files, images={**files.images, "T1w": files.mask}),))
    with pytest.raises(InputError, match=r"has images of FLAIR, T1w; choose with --channels"):
        default_channels(both)
    with pytest.raises(InputError, match=r"no image contrast .flare.; the contrasts are dwi, trace"):
        DatasetSettings(channels=("flare",))

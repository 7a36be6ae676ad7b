"""The embedded cohort: sound, labelled, split by patient, and with masks of other patients only."""

from __future__ import annotations

import json

import numpy as np
import pytest

from strokereg.core.cohort import embedded
from strokereg.core.cohort.case import read_case
from strokereg.core.cohort.checks.check import check_data
from strokereg.core.cohort.cohort import open_cohort, require_trainable
from strokereg.core.cohort.embedded import CONTRASTS, PARTS, pack, unpack
from strokereg.core.cohort.fingerprint import mask_fingerprint
from strokereg.core.cohort.folder import about_embedded
from strokereg.core.scan.nifti import read_volume
from strokereg.registry.errors import InputError


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory):
    return unpack(tmp_path_factory.mktemp("cohorts"))


def test_it_is_a_cohort_to_train_on_without_any_finding(unpacked):
    cohort = open_cohort(unpacked.cohort)
    require_trainable(cohort)
    assert {part: len(cohort.part(part)) for part in ("train", "val", "test")} == {
        part: count for part, count in PARTS.items() if part != "masks"
    }
    assert not cohort.simulated
    assert [tuple(case.images) for case in cohort.cases[:3]] == [CONTRASTS] * 3
    checked = check_data(unpacked.cohort)
    assert (checked.findings, checked.empty_masks) == ((), ())
    for files in cohort.cases[::30]:
        case = read_case(files, CONTRASTS, cohort.table)
        assert case.mask.sum() >= 50
        assert ((case.labels == cohort.table.lesion) == case.mask).all()
        brain = np.count_nonzero(case.labels)
        assert 8_000 < brain < 25_000  # mm²
        assert np.count_nonzero(case.reference.data[case.labels > 0]) > 0.95 * brain


def test_no_mask_of_the_library_belongs_to_a_patient_of_the_cohort(unpacked):
    cohort = open_cohort(unpacked.cohort)
    files = sorted(unpacked.masks.iterdir())
    assert len(files) == PARTS["masks"]
    assert not {path.name.split("_")[0] for path in files} & {case.subject for case in cohort.cases}
    own = {mask_fingerprint(read_volume(case.mask)) for case in cohort.cases}
    assert not own & {mask_fingerprint(read_volume(path)) for path in files}
    assert all(read_volume(path).in_mni for path in files[:3])


def test_source_and_licence_lie_beside_it(unpacked):
    assert "doi:10.1038/s41597-024-03667-5" in about_embedded(unpacked.cohort)
    assert "BSD 2-Clause License" in (unpacked.cohort / "SOURCE-LICENSE").read_text(encoding="utf-8")
    assert "ds004889" in (unpacked.cohort / "SOURCE-README.md").read_text(encoding="utf-8")
    meanings = json.loads((unpacked.cohort / "participants.json").read_text(encoding="utf-8"))
    assert "mm²" in meanings["slice_lesion_mm2"]["Description"]


def test_it_is_unpacked_once_and_wholly(tmp_path, monkeypatch):
    def fails(*arguments):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(embedded, "write_volume", fails)
        with pytest.raises(InputError, match=r"No space left on device.*STROKEREG_CACHE"):
            unpack(tmp_path)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / embedded.NAME).mkdir()
    monkeypatch.setattr(embedded, "write_volume", fails)
    assert unpack(tmp_path).cohort.parent == tmp_path / embedded.NAME


def test_an_archive_has_the_same_bytes_from_the_same_data(tmp_path):
    rng = np.random.default_rng(0)
    subjects = [f"sub-{number}" for number in range(3)]
    images = rng.integers(0, 127, (2, 16, 20)).astype(np.uint8)
    masks = rng.random((3, 16, 20)) < 0.1
    for name in ("a.npz", "b.npz"):
        pack(tmp_path / name, subjects, images, masks, images % 6, np.eye(4))
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    with np.load(tmp_path / "a.npz", allow_pickle=False) as archive:
        assert (archive["images"] == images).all()
        assert (np.unpackbits(archive["masks"], axis=-1, count=20) == masks).all()

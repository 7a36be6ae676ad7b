"""A training in one call from Python."""

from __future__ import annotations

import shutil

import nibabel as nib
import numpy as np
import pytest

import strokereg
from strokereg.core.train.dataset import DatasetSettings
from strokereg.core.train.trainer import TrainerSettings
from strokereg.core.train.training import TrainingCallbacks, TrainingSettings
from strokereg.registry.errors import InputError

SETTINGS = TrainingSettings(
    options={"widths": (4, 8)},
    dataset=DatasetSettings(spacing=(8.0,) * 3),
    trainer=TrainerSettings(steps=3, batch_size=2),
    cases=3,
)


def test_a_run_and_its_record(small_cohort, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    progress, steps = [], []
    callbacks = TrainingCallbacks(
        on_progress=lambda done, total: progress.append((done, total)),
        on_step=lambda step, losses: steps.append((step, *losses)),
    )
    run, record = strokereg.train("unet", small_cohort, settings=SETTINGS, callbacks=callbacks)
    assert str(run) == "runs/unet"
    assert progress[0] == (0, 7)
    assert sorted(progress)[-1] == (7, 7)
    assert [step for step, *_ in steps] == [1, 2, 3, 3]
    assert steps[-1] == (3, "validation/dice")
    assert record.done
    assert record.chosen_step == 3
    assert 0 <= record.validation_dice <= 1
    assert record.options == {"widths": [4, 8]}
    assert record.trainer["device"] != "auto"
    assert record.trainer["precision"] != "auto"
    assert record.postprocessing is not None
    assert (record.trainer["steps"], record.cohort["training_cases"]) == (3, 3)
    again, same = strokereg.train("unet", small_cohort, settings=SETTINGS, callbacks=callbacks)
    assert (again, same) == (run, record)
    assert len(steps) == 4


def test_settings_can_be_plain_values():
    plain = {"options": {"widths": (4, 8)}, "dataset": {"spacing": (8, 8, 8)}, "trainer": {"steps": 3, "batch_size": 2}}
    assert TrainingSettings(**plain, cases=3) == SETTINGS


@pytest.mark.parametrize(
    ("changes", "said"),
    [({"spacing": (3, 0, 3)}, "the voxel size must be positive"), ({"patch": (16, 20)}, "multiple of 16 voxels")],
)
def test_impossible_grids_are_one_sentence(changes, said):
    with pytest.raises(InputError, match=said):
        DatasetSettings(**changes)


def test_a_label_beyond_the_table_is_refused_before_the_training(small_cohort, tmp_path):
    root = tmp_path / "cohort"
    shutil.copytree(small_cohort, root)
    path = next(root.rglob("sub-*_dseg.nii.gz"))
    labels = nib.load(path)
    data = np.asarray(labels.dataobj, np.int16)
    data[data == 5] = 300  # 44 if it were cut to eight bits
    nib.save(nib.Nifti1Image(data, labels.affine), path)
    with pytest.raises(InputError, match="holds the label value 300, but the label table ends at 6"):
        strokereg.train("pix2pix", root, tmp_path / "run", TrainingSettings(dataset=SETTINGS.dataset))
    assert not (tmp_path / "run").exists()

"""Public anatomies and masks: read, kept apart from held-out cases, and used by arms of their own."""

from __future__ import annotations

import shutil
from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest

from strokereg.core.cohort.case import CaseFiles
from strokereg.core.cohort.cohort import open_cohort
from strokereg.core.cohort.split import Split
from strokereg.core.scan.grid import Preparation
from strokereg.core.scan.nifti import read_volume, write_volume
from strokereg.core.study.plan import make_plan, record_of
from strokereg.core.study.tasks import outcome, perform
from strokereg.core.synthesis.cases import read_database
from strokereg.core.synthesis.public import gather_public
from strokereg.core.train.prepared import PreparedCase
from strokereg.core.train.runs import load_model
from strokereg.registry.errors import InputError

CODES = np.array([0, 24, 4, 3, 10, 2, 2])  # FreeSurfer's codes for the simulator's tissues; the lesion lies in white


@pytest.fixture(scope="module")
def folders(small_cohort, tmp_path_factory):
    """Label maps with FreeSurfer codes and masks around MNI's origin: three of others, one of each from a test case."""
    anatomies, masks = tmp_path_factory.mktemp("heads"), tmp_path_factory.mktemp("lesions")
    cohort = open_cohort(small_cohort)
    for number, case in enumerate((*cohort.part("train")[3:6], cohort.part("test")[0])):
        labels, mask = read_volume(case.dseg), read_volume(case.mask)
        codes = CODES[labels.data.astype(int)].astype(np.int16)
        if number < 3:  # another head than the cohort's own
            codes = codes[::-1]
        nib.save(nib.Nifti1Image(codes, labels.affine), anatomies / f"head{number}.nii.gz")
        blob = mask.data if number == 3 else np.roll(mask.data, 1, 0) + np.roll(mask.data, 2, 0) > 0
        nib.save(nib.Nifti1Image(blob.astype(np.uint8), labels.affine), masks / f"lesion{number}.nii.gz")
    return anatomies, masks


@pytest.fixture
def public_stage(small_context):
    def do(small_cohort, tmp_path, folders):
        anatomies, masks = folders
        models = ("random-contrast",)
        return small_context(small_cohort, tmp_path, models=models, anatomies=anatomies, mask_library=masks)

    return do


def test_what_belongs_to_a_test_case_is_left_out(small_cohort, tmp_path, folders, public_stage):
    stage = public_stage(small_cohort, tmp_path, folders)
    assert [case.name for case in stage.public.anatomies] == ["head0.nii.gz", "head1.nii.gz", "head2.nii.gz"]
    assert stage.public.left_out == ("lesion3.nii.gz",)
    facts = {kind: (source.used, source.left_out) for kind, source in stage.public.facts}
    assert facts == {"anatomies": (3, 1), "masks": (3, 1)}
    [labels] = [np.asarray(case.labels) for case in stage.public.anatomies[:1]]
    assert set(np.unique(labels)) <= set(range(6))  # the cohort's tissues, and no lesion
    ours = np.asarray(stage.dataset.train[3].labels)
    assert (labels > 0).mean() == pytest.approx((ours > 0).mean(), rel=0.35)


def test_sources_named_by_the_cohort_are_left_out(small_cohort, tmp_path, folders, public_stage):
    root = shutil.copytree(small_cohort, tmp_path / "cohort")
    subject = open_cohort(root).part("val")[0].subject
    table = root / "participants.tsv"
    rows = [line.split("\t") for line in table.read_text().splitlines()]
    anatomy, lesion = rows[0].index("anatomy"), rows[0].index("lesion")
    for row in rows:
        if row[0] == subject:
            row[anatomy], row[lesion] = "head1.nii.gz", "lesion0.nii.gz"
    table.write_text("\n".join("\t".join(row) for row in rows) + "\n")
    stage = public_stage(root, tmp_path, folders)
    assert [case.name for case in stage.public.anatomies] == ["head0.nii.gz", "head2.nii.gz"]
    assert set(stage.public.left_out) == {"lesion0.nii.gz", "lesion3.nii.gz"}


def plant(mask, affine, path):
    nib.save(nib.Nifti1Image(mask.astype(np.uint8), affine), path)


@pytest.mark.parametrize("part", ["val", "test"])
def test_masks_of_held_out_patients_are_left_out_by_subject_and_by_slice(small_cohort, tmp_path, folders, part):
    """Two leaks: a subject in another spelling with other voxels, and one slice of a mask under another name."""
    cohort = replace(open_cohort(small_cohort), simulated=False)  # as of patients, whose ids mean something
    masks = shutil.copytree(folders[1], tmp_path / "masks")
    (masks / "lesion3.nii.gz").unlink()
    held_out = cohort.part(part)[0]
    mask = read_volume(held_out.mask)
    other = read_volume(masks / "lesion0.nii.gz")
    plant(other.data[::-1] > 0, mask.affine, masks / f"bwsrsub-{int(held_out.subject[4:])}_lesion.nii.gz")
    z = int((mask.data != 0).sum((0, 1)).argmax())
    assert np.count_nonzero(mask.data[:, :, z]) >= 30
    plant(mask.data[:, :, z : z + 1], mask.affine, masks / "innocent.nii.gz")
    preparation = Preparation()
    public = gather_public(None, masks, cohort, cohort.table, preparation, tmp_path / "cache")
    assert set(public.left_out) == {f"bwsrsub-{int(held_out.subject[4:])}_lesion.nii.gz", "innocent.nii.gz"}
    assert dict(public.facts)["masks"].used == 3


def test_real_slices_of_held_out_patients_find_their_volumes(real_data, small_cohort, tmp_path):
    """The slice is in the cohort, the volume of the same patient in the library, under a name that says nothing."""
    soop = real_data / "soop_flair"
    with (soop / "participants.tsv").open() as handle:
        known = [line.split("\t")[0] for line in handle][1:]
    volumes = real_data / "soop" / "lesions_mni"
    chosen, masks = [], tmp_path / "masks"
    masks.mkdir()
    for subject in known:
        [mask] = (soop / "derivatives").rglob(f"{subject}_*mask.nii.gz")
        if np.count_nonzero(read_volume(mask).data) >= 100:
            volume = next(volumes.glob(f"bwsrsub-{int(subject[4:])}_lesion.nii*"))
            (masks / f"case{len(chosen)}{''.join(volume.suffixes)}").symlink_to(volume)
            chosen.append(CaseFiles(subject, subject, {}, mask))
        if len(chosen) == 4:
            break
    split = Split((chosen[0].name,), (chosen[1].name,), tuple(case.name for case in chosen[2:]))
    cohort = replace(open_cohort(small_cohort), cases=tuple(chosen), split=split, simulated=False)
    public = gather_public(None, masks, cohort, cohort.table, Preparation(), tmp_path / "cache")
    assert [name.split(".")[0] for name in public.left_out] == ["case1", "case2", "case3"]


def test_the_masks_of_other_training_cases_are_a_library(small_cohort, tmp_path, small_context):
    changes = {"models": ("random-contrast",), "generators": ("mask-library",), "mask_library": "cohort"}
    stage = small_context(small_cohort, tmp_path, **changes)
    train = open_cohort(small_cohort).part("train")
    [(_, facts)] = stage.public.facts
    assert (facts.used, facts.left_out, facts.own) == (len(train), 0, True)
    plan = make_plan(stage)
    assert [arm.name for arm in plan.arms][-1] == "random-contrast, clinical + synthetic, all training masks"
    [maker] = [task for task in plan.tasks.values() if task.kind == "generator"]
    perform(stage, maker, {}, lambda *said: None)
    model = load_model(stage.store / maker.folder)[1]
    assert int(model.held) == len(train)  # three of them have an image in the arm
    assert stage.settings.options["mask-library"]["heights"] == ()  # the cohort is not in MNI space


def test_a_generator_that_is_pretrained_gets_the_masks_that_may_be_used(small_cohort, tmp_path, folders, small_context):
    """And none of those that equal a test case's."""
    changes = {"models": ("random-contrast",), "mask_library": folders[1], "quality": False}
    asked = small_context(small_cohort, tmp_path, **changes, options={"mask-gan": {"pretraining": 0.5}})
    plan = make_plan(asked)
    [maker] = [task for task in plan.tasks.values() if task.architecture == "mask-gan"]
    options = record_of(asked, maker).options
    assert options["folder"] == str(folders[1].resolve())
    assert options["without"] == ("lesion3.nii.gz",)
    usual = small_context(small_cohort, tmp_path, **changes)
    assert "folder" not in usual.settings.options.get("mask-gan", {})
    assert len({task.title for task in plan.tasks.values()}) == len(plan.tasks)


def test_a_training_mask_that_a_test_case_has_too_is_left_out(small_cohort, tmp_path, small_context):
    root = shutil.copytree(small_cohort, tmp_path / "cohort")
    cohort = open_cohort(root)
    giver, taker = cohort.part("test")[0], cohort.part("train")[4]
    mask = read_volume(giver.mask)
    write_volume(taker.mask, mask.data, mask.affine)
    cohort = open_cohort(root)
    public = gather_public(None, "cohort", cohort, cohort.table, Preparation(), tmp_path / "cache")
    assert public.left_out == (f"{taker.name}.nii.gz",)


def test_subjects_of_a_simulated_cohort_are_nobody(small_cohort, tmp_path, folders):
    cohort = open_cohort(small_cohort)
    masks = shutil.copytree(folders[1], tmp_path / "masks")
    number = int(cohort.part("test")[0].subject[4:])
    shutil.move(masks / "lesion0.nii.gz", masks / f"bwsrsub-{number}_lesion.nii.gz")
    public = gather_public(None, masks, cohort, cohort.table, Preparation(), tmp_path / "cache")
    assert public.left_out == ("lesion3.nii.gz",)


def test_a_folder_of_test_cases_only_is_refused(small_cohort, tmp_path, folders, public_stage):
    alone = tmp_path / "alone"
    alone.mkdir()
    shutil.copy(folders[0] / "head3.nii.gz", alone / "innocent.nii.gz")
    with pytest.raises(InputError, match="alone: all its 1 files belong to validation or test cases"):
        public_stage(small_cohort, tmp_path, (alone, folders[1]))


def test_public_arms_use_public_sources(small_cohort, tmp_path, folders, public_stage):
    stage = public_stage(small_cohort, tmp_path / "store", folders)
    plan = make_plan(stage)
    assert [arm.name for arm in plan.arms][-1] == "random-contrast, clinical + synthetic, public anatomies and masks"
    kinds = sorted(
        f"{task.kind} {task.architecture}" for task in plan.tasks.values() if task.kind not in ("segmenter", "quality")
    )
    assert kinds == [
        "database random-contrast",
        "database random-contrast",
        "generator mask-gan",
        "generator mask-library",
        "translator random-contrast",  # one serves both
    ]
    assert len({task.title for task in plan.tasks.values()}) == len(plan.tasks)
    [public] = [task for task in plan.tasks.values() if task.public and task.kind == "database"]
    for key in (*public.needs, public.key):
        task = plan.tasks[key]
        perform(stage, task, {need: plan.tasks[need] for need in task.needs}, lambda *said: None)
    assert outcome(stage, public)["lesions"] > 0
    made = read_database(stage.store / public.folder, stage.dataset.table.lesion)
    heads = [np.asarray(PreparedCase(c.name, c.folder, c.lesion).labels) > 0 for c in stage.public.anatomies]
    for case, head in zip(made, heads, strict=False):
        slices = int(head.any(axis=(1, 2)).sum())
        assert case.labels.shape[0] == slices  # as many as that head has, brain by brain
    other = make_plan(public_stage(small_cohort, tmp_path / "store", (folders[0], folders[0])))
    assert public.key not in other.tasks

"""Every built-in trains, exports and runs on real slices of FLAIR and of T1w."""

from __future__ import annotations

import functools
import shutil
from itertools import product

import numpy as np
import pytest

import strokereg
from strokereg.cli.main import main
from strokereg.core.cohort.cohort import open_cohort
from strokereg.core.scan.nifti import read_volume, write_volume
from strokereg.core.study.settings import PRESETS
from strokereg.core.synthesis.cases import read_database
from strokereg.core.synthesis.mixed import host_of, write_mixed
from strokereg.core.train.dataset import DatasetSettings, prepare_dataset
from strokereg.core.train.runs import load_model
from strokereg.core.train.trainer import TrainerSettings
from strokereg.core.train.training import TrainingSettings, train
from strokereg.export.run import export
from strokereg.registry.catalogue import build, catalogue, spec_of
from strokereg.registry.specs import Role

CONTRASTS = ("FLAIR", "T1w")
LIBRARY = "mask-library"  # has nothing to learn, and needs a folder of masks
NAMES = [
    name
    for role in (Role.GENERATOR, Role.TRANSLATOR, Role.SEGMENTER)
    for name in catalogue().available(role=role)
    if name != LIBRARY and 2 in spec_of(name).dims
]
#: Segmenters are exported for both contrasts, others for one of them in turn: their files differ in the name only.
EXPORTED = [
    (name, contrast)
    for number, name in enumerate(NAMES)
    for contrast in (CONTRASTS if spec_of(name).role is Role.SEGMENTER else CONTRASTS[number % 2 :][:1])
]


@pytest.fixture(scope="session")
def cohorts(flair_cohort, t1w_cohort):
    return {"FLAIR": flair_cohort, "T1w": t1w_cohort}


def fitted(name, cohort, out):
    settings = TrainingSettings(
        options=PRESETS["smoke"]["options"].get(name, {}),
        dataset=DatasetSettings(spacing=(6.0,) * 3),
        trainer=TrainerSettings(steps=2, batch_size=2),
    )
    return train(name, cohort, out / "run", settings)


@pytest.fixture(scope="module")
def model_of(cohorts, tmp_path_factory):
    """A function that trains a built-in on a contrast and exports it, once."""

    @functools.cache
    def make(name, contrast):
        out = tmp_path_factory.mktemp("model")
        run, record = fitted(name, cohorts[contrast], out)
        assert record.preparation.channels == (contrast,)
        (file,) = export(run, out=out / "out")
        return file, record.role

    return make


@pytest.mark.slow
@pytest.mark.parametrize(("name", "contrast"), sorted({*product(NAMES, CONTRASTS)} - {*EXPORTED}))
def test_a_built_in_trains(name, contrast, cohorts, tmp_path):
    run, record = fitted(name, cohorts[contrast], tmp_path)
    assert record.preparation.channels == (contrast,)
    assert all(weight.isfinite().all() for weight in load_model(run)[1].state_dict().values())


@pytest.mark.slow
@pytest.mark.parametrize(("name", "contrast"), EXPORTED)
def test_a_built_in_trains_and_exports(name, contrast, cohorts, model_of, tmp_path):
    file, role = model_of(name, contrast)
    case = open_cohort(cohorts[contrast]).cases[0]
    if role is Role.SEGMENTER:
        model = strokereg.load(file)
        assert model.bundle.channels == (contrast,)
        found = model.segment(case.images[contrast])
        assert found.mask.shape == read_volume(case.images[contrast]).data.shape
        assert np.isfinite(found.probability).all()
    elif role is Role.TRANSLATOR:
        place = tmp_path / "images"
        assert main(["synthesize", "--model", str(file), "--labels", str(case.dseg), "--out", str(place)]) == 0
        (made,) = place.glob(f"*_{contrast}.nii.gz")
        assert read_volume(made).data.max() > 0


def test_a_scan_of_another_contrast_is_refused(model_of, cohorts, tmp_path, capsys):
    t1w_model, _ = model_of("unet", "T1w")
    flair = open_cohort(cohorts["FLAIR"]).cases[0].images["FLAIR"]
    out = tmp_path / "mask.nii.gz"
    assert main(["segment", str(flair), "--model", str(t1w_model), "--out", str(out)]) == 2
    [line] = [line for line in capsys.readouterr().err.splitlines() if line.startswith("Error")]
    assert "is FLAIR by its name, but" in line
    assert "takes T1w; give a T1w image, or --image T1w=" in line
    assert not out.exists()
    with pytest.raises(strokereg.InputError, match="is FLAIR by its name"):
        strokereg.load(t1w_model).segment(flair)
    assert main(["segment", "--image", f"t1w={flair}", "--model", str(t1w_model), "--out", str(out)]) == 0
    assert read_volume(out).data.shape == read_volume(flair).data.shape
    assert main(["segment", "--model", str(t1w_model)]) == 2
    assert "no scan is given" in capsys.readouterr().err


def test_two_contrasts_from_import_to_segment(real_data, tmp_path, capsys):
    """DWI and FLAIR of ISLES'22, which lie on different grids."""
    source, cohort = tmp_path / "source", tmp_path / "cohort"
    shutil.copytree(real_data / "isles22", source)
    case = "sub-strokecase0009"
    for number in (1, 2):  # a split needs three subjects: the same scan, mirrored
        for path in [
            *source.rglob(f"{case}*_dwi.nii.gz"),
            *source.rglob(f"{case}*_flair.nii.gz"),
            *source.rglob("*9_*_msk.nii.gz"),
        ]:
            other = path.as_posix().replace(case, f"sub-strokecase100{number}")
            target = type(path)(other)
            target.parent.mkdir(parents=True, exist_ok=True)
            scan = read_volume(path)
            write_volume(target, np.flip(scan.data, number - 1), scan.affine)
    asked = ["data", "import", str(source), "--out", str(cohort), "--channels", "dwi,flair"]
    assert main(asked) == 1
    assert "import with --resample" in capsys.readouterr().err
    shutil.rmtree(cohort)
    assert main([*asked, "--resample"]) == 0
    files = open_cohort(cohort).cases[0]
    assert list(files.images) == ["dwi", "FLAIR"]
    assert files.images["FLAIR"].parent.name == "anat"
    assert read_volume(files.images["FLAIR"]).data.shape == read_volume(files.images["dwi"]).data.shape
    subjects = [found.subject for found in open_cohort(cohort).cases]
    parts = zip(subjects, ("train", "val", "test"), strict=True)
    (cohort / "split.tsv").write_text("participant_id\tsplit\n" + "".join(f"{s}\t{part}\n" for s, part in parts))
    assert main(["data", "label", str(cohort), "--method", "atlas", "--workers", "1"]) == 0
    run = tmp_path / "run"
    trained = ["train", "unet", "--data", str(cohort), "--out", str(run), "--channels", "dwi,FLAIR"]
    assert main([*trained, "--steps", "2", "--spacing", "6", "--batch-size", "2", "--set", "widths=4,8"]) == 0
    (model,) = export(run, out=tmp_path / "out")
    mask = tmp_path / "mask.nii.gz"
    assert main(["segment", str(files.images["dwi"]), "--model", str(model), "--out", str(mask)]) == 0
    assert read_volume(mask).data.shape == (112, 112, 73)


@pytest.mark.parametrize("contrast", CONTRASTS)
@pytest.mark.parametrize("name", catalogue().available(role=Role.MIXER))
def test_a_mixer_makes_cases_of_the_same_contrast(name, contrast, cohorts, tmp_path):
    dataset = prepare_dataset(open_cohort(cohorts[contrast]), DatasetSettings(spacing=(6.0,) * 3), tmp_path / "cache")
    mixer = build(name, dataset.problem, {})
    tally = write_mixed(tmp_path / "made", dataset.train, mixer, dataset.table, 6, 0)
    made = read_database(tmp_path / "made", dataset.table.lesion)
    assert (len(made), tally.lesions) == (6, 6)
    assert tally.given_up <= 2
    assert all(np.isfinite(case.image).all() and case.image.shape[0] == 1 for case in made)
    hosts = [host_of(dataset.train, number) for number in range(6)]
    assert any(not np.array_equal(case.image, host.image) for case, host in zip(made, hosts, strict=True))

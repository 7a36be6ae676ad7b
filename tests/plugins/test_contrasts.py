"""Every built-in trains, exports and runs on real slices of FLAIR and of T1w."""

from __future__ import annotations

import shutil

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
from strokereg.core.train.trainer import TrainerSettings
from strokereg.core.train.training import TrainingSettings, train
from strokereg.export.run import export
from strokereg.registry.catalogue import build, catalogue, spec_of
from strokereg.registry.specs import Role

CONTRASTS = ("FLAIR", "T1w")
LIBRARY = "mask-library"  # has nothing to learn, and needs a folder of masks
#: Contrasts alternate within a role: what differs by contrast is the data, not the network.
TRAINED = [
    (name, CONTRASTS[number % 2])
    for role in (Role.GENERATOR, Role.TRANSLATOR, Role.SEGMENTER)
    for number, name in enumerate(n for n in catalogue().available(role=role) if n != LIBRARY and 2 in spec_of(n).dims)
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


@pytest.mark.slow
@pytest.mark.parametrize(("name", "contrast"), TRAINED)
def test_a_built_in_trains_and_exports(name, contrast, cohorts, tmp_path):
    run, record = fitted(name, cohorts[contrast], tmp_path)
    assert record.preparation.channels == (contrast,)
    (file,) = export(run, out=tmp_path / "out")
    case = open_cohort(cohorts[contrast]).cases[0]
    if record.role is Role.SEGMENTER:
        model = strokereg.load(file)
        assert model.bundle.channels == (contrast,)
        found = model.segment(case.images[contrast])
        assert found.mask.shape == read_volume(case.images[contrast]).data.shape
        assert np.isfinite(found.probability).all()
    elif record.role is Role.TRANSLATOR:
        place = tmp_path / "images"
        assert main(["synthesize", "--model", str(file), "--labels", str(case.dseg), "--out", str(place)]) == 0
        (made,) = place.glob(f"*_{contrast}.nii.gz")
        assert read_volume(made).data.max() > 0


@pytest.fixture(scope="module")
def t1w_model(cohorts, tmp_path_factory):
    out = tmp_path_factory.mktemp("t1w-model")
    return export(fitted("unet", cohorts["T1w"], out)[0], out=out / "out")[0]


def test_a_scan_of_another_contrast_is_refused(t1w_model, cohorts, tmp_path, capsys):
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

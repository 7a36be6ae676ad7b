"""The scripts of `benchmarks/peers`: what goes out comes back to its place, and unlike things get no common table."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from strokereg.core.cohort.case import read_case
from strokereg.core.cohort.cohort import open_cohort
from strokereg.core.report.results import Arm, CohortFacts, Results, SeedScores, Study
from strokereg.core.scan.grid import Preparation, frame_of
from strokereg.core.scan.nifti import read_volume, write_volume
from strokereg.registry.errors import InputError

SCRIPTS = Path(__file__).parents[1] / "benchmarks" / "peers"


def script(name: str) -> ModuleType:
    """A script as it is when it is run: its siblings can be imported."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(SCRIPTS)
        return importlib.import_module(name)


@pytest.fixture(scope="module")
def converted(small_cohort, phantom, tmp_path_factory) -> Path:
    """Two training cases of the small cohort on the scans' own grid, and three external ones."""
    return script("convert").convert(small_cohort, tmp_path_factory.mktemp("peers") / "n2", 2, 4.7, phantom)


@pytest.fixture(scope="module")
def evaluated(converted, small_cohort, phantom) -> dict:
    """What the evaluate says of a peer that calls exactly the truth, on the network's grid."""
    run = converted / "predictions" / "oracle"
    preparation = Preparation.model_validate(json.loads((converted / "peers.json").read_text())["preparation"])
    cohort = open_cohort(small_cohort)
    parts = {"val": cohort.part("val"), "test": cohort.part("test"), "external": open_cohort(phantom).cases}
    for part, files in parts.items():
        (run / part).mkdir(parents=True)
        for case in files:
            scan = read_case(case)
            truth = frame_of(scan.reference, preparation).image(scan.mask)
            write_volume(run / part / f"{case.name}.nii.gz", truth.transpose(2, 1, 0), np.eye(4))
    about = {"peer": "oracle", "steps": 1, "batch_size": 1, "seed": 0, "parameters": 0, "recipe": {}}
    (run / "training.json").write_text(json.dumps(about))
    return script("evaluate").evaluate(run)


def test_images_and_lesions_reach_the_peers_as_they_are(converted, small_cohort):
    cohort = open_cohort(small_cohort)
    raw = converted / "nnUNet_raw" / "Dataset001_peers"
    trained = [*cohort.part("train")[:2], *cohort.part("val")]
    assert {path.name for path in (raw / "imagesTr").iterdir()} == {f"{case.name}_0000.nii.gz" for case in trained}
    assert len(list((raw / "imagesTs").iterdir())) == len(cohort.part("test"))
    assert len(list((raw / "imagesEx").iterdir())) == 3
    split = json.loads((converted / "nnUNet_preprocessed" / raw.name / "splits_final.json").read_text())
    assert [len(split[0][part]) for part in ("train", "val")] == [2, len(cohort.part("val"))]
    scan = read_case(trained[0])
    image = read_volume(raw / "imagesTr" / f"{scan.name}_0000.nii.gz").data
    lesion = read_volume(raw / "labelsTr" / f"{scan.name}.nii.gz").data
    assert scan.mask is not None
    assert lesion.sum() == scan.mask.sum() > 0
    np.testing.assert_allclose(np.sort(image[lesion > 0]), np.sort(scan.reference.data[scan.mask]), rtol=1e-5)


def test_a_peer_that_calls_the_truth_scores_one(evaluated, small_cohort):
    own = SeedScores.model_validate(evaluated["rules"]["own"])
    assert set(own.cases) == {case.name for case in open_cohort(small_cohort).part("test")}
    assert evaluated["validation_dice"] == 1.0
    assert {score.dice for score in own.cases.values()} == {1.0}
    # the external scans have another voxel size, so they were interpolated there and back
    assert len(own.external) == 3
    assert min(score.dice for score in own.external.values()) > 0.75


def test_the_table_refuses_a_peer_of_another_cohort(evaluated):
    facts = CohortFacts(name="coarse", fingerprint=evaluated["content"], simulated=True, counts={"train": 6})
    study = Study(
        models=[], preset="quick", cases=[2], seeds=[0], steps={"segmenter": 9}, spacing=(4.7, 4.7, 4.7), cohort=facts
    )
    ours = Arm(
        name="clinical only",
        training="clinical",
        segmenter="unet",
        cases=2,
        seeds=[SeedScores.model_validate(evaluated["rules"]["chosen"])],
    )
    results, tables = Results(study=study, arms=[ours]), script("table")
    lines = tables.table(results, tables.fitting(results, [evaluated])).splitlines()
    assert [line.split(" | ")[5] for line in lines[2:]] == ["100.0", "100.0"]
    with pytest.raises(InputError, match="oracle: trained on coarse"):
        tables.fitting(results, [evaluated | {"content": "another"}])


def test_added_cases_join_the_training_cases_and_real_ones_are_half_of_the_draws(small_cohort, phantom, tmp_path):
    out = script("convert").convert(small_cohort, tmp_path / "mixed", 1, 4.7, added=[phantom])
    exchange = script("exchange").Exchange(out)
    real = open_cohort(small_cohort).part("train")[0].name
    added = [f"sub-{phantom.name}{number:02}" for number in (1, 2, 3)]
    assert exchange.split["train"] == [real] * 3 + added
    assert exchange.facts["added"] == 3
    for name in (real, *added):
        image, lesion = read_volume(exchange.image(name)), read_volume(exchange.label(name))
        assert image.data.shape == lesion.data.shape
        assert image.data[lesion.data > 0].mean() > image.data[image.data > 0].mean()


def test_a_finished_training_is_not_done_again_and_both_arms_are_compared_case_by_case(converted, evaluated):
    import argparse

    carry_over = script("carry_over")
    given = argparse.Namespace(nnunet=Path("/nonexistent"), steps=1, batch=1, epochs=1)
    run = converted / "predictions" / "nnunet-nnUNetTrainer_50epochs-1ep-1x1-s7"
    run.mkdir()
    (run / "training.json").write_text("{}")
    assert carry_over.train_nnunet(script("exchange").Exchange(converted), 7, given) == run
    worse = json.loads(json.dumps(evaluated))
    for scores in worse["rules"].values():
        for case in scores["cases"].values():
            case["dice"] = 0.9
    rows = carry_over.compare({"clinical": [worse] * 2, "mixed": [evaluated] * 2}).splitlines()[2:]
    assert [row.split(" | ")[1:3] for row in rows] == [["90.0 ± 0.0", "100.0 ± 0.0"]] * 2
    assert all("+10.0" in row for row in rows)

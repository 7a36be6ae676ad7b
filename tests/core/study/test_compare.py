"""Whole studies, with everything real but the size."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from strokereg.core.cohort.cohort import open_cohort
from strokereg.core.study import executor
from strokereg.core.study.compare import RunOptions, compare, run_study
from strokereg.core.study.context import make_context
from strokereg.core.study.executor import NoCallbacks
from strokereg.core.study.local import LocalExecutor
from strokereg.core.study.settings import study_settings
from strokereg.core.train.record import Record
from strokereg.core.train.tracking import VALIDATION_DICE, series
from strokereg.registry.catalogue import forget
from strokereg.registry.local import FILES


@pytest.mark.slow
def test_without_models_a_study_is_clinical_only_with_an_external_cohort_too(small_cohort, phantom, tmp_path):
    budgets = {"segmenter": {"steps": 6, "evaluations": 3, "patience": 1}}
    settings = study_settings("smoke", models=(), budgets=budgets)
    context = make_context(settings, open_cohort(small_cohort), tmp_path / "runs", open_cohort(phantom))
    finished = run_study(context, tmp_path / "out", LocalExecutor(1), NoCallbacks(), "test")
    (arm,) = finished.results.arms
    assert arm.name == "clinical only"
    assert (len(arm.seeds[0].cases), len(arm.seeds[0].external)) == (3, 3)
    (run,) = finished.results.runs
    assert run.chosen_step in (2, 4, 6)
    assert 0 <= run.validation_dice <= 1
    record = Record.read(tmp_path / "runs" / run.folder)
    assert (record.chosen_step, record.validation_dice) == (run.chosen_step, run.validation_dice)
    curve = series(tmp_path / "runs" / run.folder / "history.csv")[VALIDATION_DICE]
    assert [step for step, _ in curve][-1] == run.steps
    page = finished.report.read_text()
    assert "best evaluation on 1 validation case" in page
    assert "validation Dice" in page


@pytest.mark.slow
def test_untrained_translators_and_mixers_go_all_the_way(small_cohort, tmp_path):
    budgets = {"segmenter": {"steps": 4, "augment": {"shading": 0.1}}}
    settings = study_settings("smoke", models=("random-contrast", "carvemix"), budgets=budgets)

    def run():
        context = make_context(settings, open_cohort(small_cohort), tmp_path / "out" / "runs")
        return run_study(context, tmp_path / "out", LocalExecutor(2), NoCallbacks(), "test")

    finished = run()
    results = finished.results
    assert results.failures == []
    assert [(arm.training, arm.translator) for arm in results.arms] == [
        ("clinical", None),
        ("synthetic", "random-contrast"),
        ("clinical + synthetic", "random-contrast"),
        ("synthetic", "carvemix"),
        ("clinical + synthetic", "carvemix"),
    ]
    assert all(len(arm.seeds) == 1 for arm in results.arms)
    steps = {run.architecture: run.steps for run in results.runs}
    assert steps == {"mask-gan": 6, "random-contrast": 0, "unet": 4}
    assert results.study.augment == {"segmenter": {"shading": 0.1}}
    notes = results.synthesis
    assert notes["carvemix (3 cases, seed 0)"]["lesions"] == 2
    assert "held_out_l1" in notes["random-contrast (3 cases, seed 0)"]
    assert "held_out_l1" not in notes["carvemix (3 cases, seed 0)"]
    page = finished.report.read_text()
    for part in (
        "Training cases, mixed",
        "carvemix: sub-",
        "Label maps of validation cases, translated",
        "shading 0.1",
    ):
        assert part in page
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out" / "runs").rglob("*.npy")}
    assert len(before) == 2 * 2 * 2  # two databases of two cases, image and labels
    again = run().results
    assert again.model_copy(update={"timing": {}}) == results.model_copy(update={"timing": {}})
    assert {path: path.stat().st_mtime_ns for path in before} == before


@pytest.mark.slow
def test_without_data_the_study_is_on_the_embedded_patients(tmp_path):
    """Real FLAIR slices with lesions of other patients, from the archive to the report."""
    budgets = {role: {"steps": 2, "batch_size": 2} for role in ("generator", "translator", "segmenter")}
    changes = {"generators": ("mask-library",), "mixed_only": True, "quality": False, "budgets": budgets}
    results = compare(("pix2pix",), None, tmp_path / "out", "smoke", RunOptions(workers=1), **changes).results
    assert results.failures == []
    assert [arm.name for arm in results.arms] == ["clinical only", "pix2pix, clinical + synthetic, public masks"]
    cohort = results.study.cohort
    assert (cohort.name, cohort.simulated, cohort.counts["test"]) == ("soop-flair", False, 220)
    assert "one axial FLAIR slice each" in cohort.about
    masks = results.study.public["masks"]
    assert (masks.folder, masks.used, masks.left_out) == ("soop-flair-masks", 300, 0)
    assert "drawn on DWI" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    kept = json.loads((tmp_path / "out" / "study.json").read_text(encoding="utf-8"))
    assert kept["options"]["mask-library"]["heights"] == [18.0]  # the height of all slices in MNI space


FAULTS = {
    "raises": "RuntimeError: the plugin is broken",
    "refuses": "its sizes are multiples of 1000; choose --patch accordingly",
    "nan": "the loss 'l2' of 'painter' became nan",
    "nan-painted": "the translator returned NaN or infinite values; look at its losses",
    "hangs": "hung after step 4 of 6: no sign of life for 2 s",
    "dies-always": "was killed twice, most likely because memory ran out",
}


@pytest.mark.slow
def test_failing_translators_fail_their_arms_only(small_cohort, tmp_path, monkeypatch):
    """All at once, beside one whose process died by chance, which is taken up again."""
    helpers = str(Path(__file__).parent)
    monkeypatch.setenv("PYTHONPATH", helpers)  # for the workers
    monkeypatch.setenv("FAULTY_MARK", str(tmp_path / "mark"))
    monkeypatch.syspath_prepend(helpers)
    monkeypatch.setenv(FILES, f"{helpers}/faulty.py")
    forget()
    import faulty

    monkeypatch.setattr(executor, "Silence", faulty.Impatient)
    models = (*FAULTS, "dies-once")
    settings = study_settings("smoke", models=models, steps={"segmenter": 4, "generator": 2}, quality=False)
    context = make_context(settings, open_cohort(small_cohort), tmp_path / "out" / "runs")
    finished = run_study(context, tmp_path / "out", LocalExecutor(2), NoCallbacks(), "test")
    whole = {arm.name for arm in finished.results.arms if arm.seeds}
    assert whole == {"clinical only", "dies-once, synthetic", "dies-once, clinical + synthetic"}
    assert len(finished.results.arms) == 1 + 2 * len(models)
    told = [(failure.what, failure.reason) for failure in finished.results.failures]
    for how, reason in FAULTS.items():
        mine = [said for what, said in told if how in what.replace(",", " ").split()]
        assert reason in mine[0], mine
        assert all("which failed" in said for said in mine[1:])
        assert len(mine) == 4 - (how == "nan-painted")  # translator, database, two segmenters
    assert "faulty.py" in finished.results.provenance.versions
    assert "hung after step 4 of 6" in finished.report.read_text()
    sys.modules.pop("faulty")
    forget()

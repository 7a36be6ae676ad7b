"""Whole scans in a study's report: read again, with what was called on them; a store without them is shown as well."""

from __future__ import annotations

import html
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from strokereg.core.cohort.case import read_case
from strokereg.core.cohort.cohort import open_cohort
from strokereg.core.scan.view import axial
from strokereg.core.study.plan import make_plan
from strokereg.core.study.tasks import examples_path


def scans(page: Path) -> list[dict]:
    found = re.findall(r'data-scan="([^"]*)"', page.read_text(encoding="utf-8"))
    return [json.loads(html.unescape(text)) for text in found]


@pytest.mark.slow
def test_every_arm_s_prediction_lies_on_the_scan(small_cohort, small_study):
    shown = scans(small_study.report)
    test = open_cohort(small_cohort).part("test")[:2]
    assert [scan["title"] for scan in shown] == [case.name for case in test]
    assert all(list(scan["called"]) == [f"{arm.name} (3)" for arm in small_study.results.arms] for scan in shown)
    assert small_study.report.stat().st_size < 5_000_000


@pytest.mark.slow
def test_what_a_task_kept_is_what_it_scored(small_cohort, small_study, small_context):
    store = small_study.json.parent / "runs"
    context = small_context(small_cohort, store)
    arm = make_plan(context).arms[0]
    case = read_case(context.dataset.test_files[0])
    truth = axial(case.mask, case.reference.affine)
    with np.load(examples_path(context, arm.segmenters[0])) as kept:
        bits = kept[f"whole/cases/{case.name}"]
    called = np.unpackbits(bits, count=truth.size).astype(bool).reshape(truth.shape)
    scored = small_study.results.arms[0].seeds[0].cases[case.name]
    assert called.sum() * case.reference.voxel_ml == pytest.approx(scored.predicted_ml)
    overlap = 2 * (called & truth).sum() / max(1, called.sum() + truth.sum())
    assert overlap == pytest.approx(scored.dice)


@pytest.mark.slow
def test_a_store_from_before_is_shown_without_them(small_cohort, small_study, run_small, tmp_path):
    out = shutil.copytree(small_study.json.parent, tmp_path / "out")
    for path in out.glob("runs/segmenter-*/*.npz"):
        with np.load(path) as planes:
            before = {name: plane for name, plane in planes.items() if not name.startswith("whole/")}
        np.savez_compressed(path, **before)
    finished, here = run_small(small_cohort, out)
    assert here.done == []
    page = finished.report.read_text(encoding="utf-8")
    assert "<script" not in page
    assert 'class="viewer"' not in page
    assert "Test cases, segmented" in page
    same = {"timing": {}}
    assert finished.results.model_copy(update=same) == small_study.results.model_copy(update=same)

"""`strokereg data label` as it is called."""

from __future__ import annotations

import json
import shutil

from strokereg.cli.main import main


def test_a_cohort_is_labelled_by_location(small_cohort, tmp_path, capsys):
    root = tmp_path / "bare"
    shutil.copytree(small_cohort, root)
    for path in root.glob("derivatives/*/*/dwi/*_dseg.nii.gz"):
        path.unlink()
    assert main(["train", "pix2pix", "--data", str(root), "--out", str(tmp_path / "run")]) == 2
    assert f"needed by pix2pix; make label maps with: strokereg data label {root}" in capsys.readouterr().err
    assert main(["data", "label", str(root), "--method", "atlas", "--workers", "1", "--json"]) == 0
    done = json.loads(capsys.readouterr().out)
    assert (done["made"], done["found"], done["kept"], done["method"]) == (10, 0, 0, "atlas")
    assert done["labels"][-1] == "lesion"
    assert done["sheet"] == str(root / "derivatives" / "tissues" / "sheet.png")
    assert (root / "derivatives" / "tissues" / "sheet.png").stat().st_size > 10_000
    assert main(["data", "label", str(root), "--method", "atlas"]) == 0
    printed = capsys.readouterr()
    assert printed.out == f"{root / 'derivatives' / 'tissues'}\n"
    assert "0 cases labelled, 10 labelled before, 0 with other maps; see " in printed.err
    assert main(["data", "prepare", str(root), "--spacing", "6", "--json"]) == 0


def test_wrong_options_are_one_sentence(small_cohort, capsys):
    assert main(["data", "label", str(small_cohort), "--maps", "."]) == 2
    assert "add --method external" in capsys.readouterr().err
    assert main(["data", "label", str(small_cohort), "--method", "guess"]) == 2
    assert "'hmrf', 'kmeans', 'atlas', 'external'" in capsys.readouterr().err


def test_an_implausible_map_is_named(phantom, tmp_path, capsys, monkeypatch):
    from strokereg.core.tissue import cohort

    root = shutil.copytree(phantom, tmp_path / "mine", ignore=shutil.ignore_patterns("*dseg*"))
    seen = []
    monkeypatch.setattr(cohort, "implausible", lambda labels, spacing: seen.append(labels.shape) or "cortex is small")
    words = ["data", "label", str(root), "--method", "atlas", "--workers", "1"]
    assert main(words) == 0
    assert "Warning: sub-02: cortex is small; look at its label map" in capsys.readouterr().err
    assert seen == [(30, 34, 22)] * 3
    assert main([*words, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["implausible"]["sub-02"] == "cortex is small"

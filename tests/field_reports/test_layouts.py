"""Reported faults of folders, their tables and JSON files, made anew with empty images; reports.toml says of whom."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from strokereg.core.cohort.checks.check import check_data
from strokereg.core.cohort.open import read_folder, read_source
from strokereg.core.cohort.source import Source
from strokereg.registry.errors import InputError

DWI = "sub-{0}/dwi/sub-{0}_dwi.nii.gz"
MASK = "derivatives/x/sub-{0}/dwi/sub-{0}_desc-lesion_mask.nii.gz"
VISIT = "sub-1/ses-{0}/dwi/sub-1_ses-{0}_dwi.nii.gz"
VISIT_MASK = "derivatives/x/sub-1/ses-{0}/dwi/sub-1_ses-{0}_desc-lesion_mask.nii.gz"
PLAIN = {"dataset_description.json": "{}"}
CHANNELS = {"channel_names": {"0": "DWI"}, "labels": {"background": 0, "lesion": 1}, "numTraining": 1}


def files(*names: str, **texts: str) -> dict[str, str]:
    return PLAIN | dict.fromkeys(names, "") | texts


def nnunet(*names: str, **said: object) -> dict[str, str]:
    return {"dataset.json": json.dumps(CHANNELS | said)} | dict.fromkeys(names, "")


def masks(source: Source) -> dict[str, str | None]:
    return {case.name: case.mask and case.mask.name for case in source.cases}


@dataclass(frozen=True)
class Layout:
    """A folder, and what a reader finds in it or, as a regular expression, why it does not read it."""

    content: Mapping[str, str]
    found: Callable[[Source], object] = masks
    expected: object = None
    fault: str = ""


LAYOUTS = {
    "bom-description": Layout(
        files(DWI.format(1), MASK.format(1)) | {"dataset_description.json": "\ufeff{}"},
        expected={"sub-1": "sub-1_desc-lesion_mask.nii.gz"},
    ),
    "two-endings": Layout(
        files(DWI.format(1), DWI.format(1).removesuffix(".gz")), lambda source: source.left_out["sub-1"],
        "has 2 files for its DWI, sub-1_dwi.nii and sub-1_dwi.nii.gz; choose with --set dwi=PATTERN",
    ),
    "mask-of-one-session": Layout(
        files(VISIT.format("01"), VISIT.format("02"), VISIT_MASK.format("02")),
        expected={"sub-1_ses-01": None, "sub-1_ses-02": "sub-1_ses-02_desc-lesion_mask.nii.gz"},
    ),
    "masks-of-two-sessions": Layout(
        files(*(name.format(s) for s in ("BL", "FU") for name in (VISIT, VISIT_MASK))),
        expected={f"sub-1_ses-{s}": f"sub-1_ses-{s}_desc-lesion_mask.nii.gz" for s in ("BL", "FU")},
    ),
    "derivatives-without-description": Layout(
        files(DWI.format("01"), MASK.format("01")), expected={"sub-01": "sub-01_desc-lesion_mask.nii.gz"},
    ),
    "pipeline-description": Layout(
        files(DWI.format(1), MASK.format(1)) | {
            "dataset_description.json": '{"PipelineDescription": {"Name": "fMRIPrep"}, "GeneratedBy": null}',
            "derivatives/x/dataset_description.json": '{"PipelineDescription": {"Name": "fMRIPrep"}}',
        },
        expected={"sub-1": "sub-1_desc-lesion_mask.nii.gz"},
    ),
    "uneven-derivatives": Layout(
        files(*map(DWI.format, (1, 2, 3)), MASK.format(2), "derivatives/y/sub-3/dwi/sub-3_desc-brain_mask.nii.gz"),
        expected={"sub-1": None, "sub-2": "sub-2_desc-lesion_mask.nii.gz", "sub-3": None},
    ),
    "zeros-in-names": Layout(
        files(DWI.format("01"), MASK.format("001")), lambda source: [*source.left_out.values()],
        ["has no image; add the images of sub-001, or correct the name"],
    ),
    "scans-table": Layout(
        files(DWI.format(1).removesuffix(".gz"), **{"sub-1/sub-1_scans.tsv": "filename\ndwi/sub-1_dwi.nii.gz\n"}),
        lambda source: [case.images["dwi"].name for case in source.cases], ["sub-1_dwi.nii"],
    ),
    "nnunet-nii": Layout(
        nnunet("imagesTr/a_0000.nii", "labelsTr/a.nii"), expected={"a": "a.nii"},
    ),
    "nnunet-label-with-channel": Layout(
        nnunet("imagesTr/MI_01_0000.nii.gz", "labelsTr/MI_01_0000.nii.gz"), lambda source: [*source.left_out.values()],
        ["is the label of no case; name it as its image without _0000: CASE.nii.gz"],
    ),
    "nnunet-old-list": Layout(
        nnunet(
            "imagesTr/BLB_404_0000.nii", "labelsTr/BLB_404.nii",
            training=[{"image": "./imagesTr/BLB_404.nii.gz", "label": "./labelsTr/BLB_404.nii.gz"}],
        ),
        expected={"BLB_404": "BLB_404.nii"},
    ),
    "nnunet-list-of-images": Layout(
        nnunet(
            *("imagesTr/C_0000.nii.gz", "imagesTr/C_0001.nii.gz", "labelsTr/C.nii.gz"),
            channel_names={"0": "DWI", "1": "ADC"},
            training=[{"image": [f"./imagesTr/C_000{i}.nii.gz" for i in (0, 1)], "label": "./labelsTr/C.nii.gz"}],
        ),
        lambda source: [list(case.images) for case in source.cases], [["dwi", "adc"]],
    ),
    "nnunet-comma": Layout(
        {"dataset.json": '{"channel_names": {"0": "DWI",}}', "imagesTr/a_0000.nii.gz": ""},
        fault=r"dataset\.json: not valid JSON \(.*\); correct it",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_reported_layout(name, tmp_path):
    layout = LAYOUTS[name]
    for path, text in layout.content.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text, encoding="utf-8")
    if layout.fault:
        with pytest.raises(InputError, match=layout.fault) as error:
            read_source(tmp_path)
        assert "\n" not in str(error.value)
    else:
        assert layout.found(read_source(tmp_path)[1]) == layout.expected


def test_sessions_without_mask_are_counted_by_the_check(phantom, tmp_path):
    scan, truth = (next(phantom.glob(f"**/sub-01_{kind}.nii.gz")) for kind in ("dwi", "desc-lesion_mask"))
    for path, source in {"dataset_description.json": None, VISIT.format("01"): scan, VISIT.format("02"): scan,
                         VISIT_MASK.format("02"): truth}.items():  # fmt: skip
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(source.read_bytes() if source else b"{}")
    assert len(read_folder(tmp_path).cases) == 2
    said = [finding.fault for finding in check_data(tmp_path).warnings]
    assert "sub-1_ses-01 has no lesion mask" in said


def names_of(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_what_a_killed_import_left_does_not_stand_in_the_way(phantom, tmp_path):
    from strokereg.core.cohort.importing.run import import_data

    out = tmp_path / "out"
    done = import_data(phantom, out)
    (out / ".importing.lock").touch()  # as a process that was killed, perhaps on another machine, leaves it
    (out / ".importing" / "half").mkdir(parents=True)
    (out / ".importing" / "half" / "x.nii.gz").write_bytes(b"half")
    again = import_data(phantom, out)
    assert again.found == done.imported
    assert not [name for name in names_of(out) if name.startswith(".importing")]

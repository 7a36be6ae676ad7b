"""A datalist, read by MONAI."""

from __future__ import annotations

import json

import numpy as np
import pytest

from strokereg.core.cohort.case import read_case
from strokereg.core.cohort.cohort import open_cohort
from strokereg.core.cohort.exporting import ExportFormat, monai


def test_monai_loads_every_part_with_its_own_functions(mixed, small_cohort, added):
    lists = pytest.importorskip("monai.data.decathlon_datalist")
    from monai.transforms import LoadImaged

    path = mixed[ExportFormat.MONAI].folder / monai.DATALIST
    cohort = open_cohort(small_cohort)
    train, val, test = ([case.name for case in cohort.part(part)] for part in ("train", "val", "test"))
    wanted = {"training": [*train[:2], *added], "validation": val, "test": test}
    for key, names in wanted.items():
        items = lists.load_decathlon_datalist(path, data_list_key=key)
        assert [item["case"] for item in items] == names
    first = lists.load_decathlon_datalist(path)[0]
    loaded = LoadImaged(["image", "label", "dwi", "adc", "dseg"])(first)
    case = read_case(cohort.part("train")[0], ("dwi", "adc"))
    assert case.mask is not None
    for number, (channel, image) in enumerate(case.images.items()):
        np.testing.assert_array_equal(loaded[channel], image.data)
        np.testing.assert_array_equal(loaded["image"][number], image.data)
        np.testing.assert_array_equal(loaded[channel].affine, image.affine)
    np.testing.assert_array_equal(loaded["label"], case.mask)
    np.testing.assert_array_equal(loaded["dseg"] == cohort.table.lesion, case.mask)


def test_paths_are_relative_so_that_the_folder_can_move(mixed):
    root = mixed[ExportFormat.MONAI].folder
    content = json.loads((root / monai.DATALIST).read_text())
    assert content["modality"] == {"0": "dwi", "1": "adc"}
    items = [item for key in ("training", "validation", "test") for item in content[key]]
    paths = [path for item in items for path in (*item["image"], item["label"], item["dwi"], item["adc"])]
    assert not any(path.startswith("/") for path in paths)
    assert all((root / path).is_file() for path in paths)

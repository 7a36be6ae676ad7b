from __future__ import annotations

import base64
import io
import json

import numpy as np
import pytest
from PIL import Image

from strokereg.core.report.viewer import (
    LEVELS,
    LONGEST,
    SLICES,
    ViewerScan,
    encode,
    montage,
)
from strokereg.core.scan.view import Convention


def picture(uri: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))))


def scan(shape: tuple[int, int, int], lesion: tuple[slice, slice, slice], **changes) -> ViewerScan:
    rng = np.random.default_rng(0)
    image = 50 + 50 * rng.random(shape)
    truth = np.zeros(shape, dtype=bool)
    truth[lesion] = True
    return ViewerScan("sub-1", "test case", image, 100.0, (1.0, 1.5, 3.0), truth, {"unet": ~truth}, **changes)


def test_a_volume_comes_back_from_its_strip() -> None:
    volume = scan((7, 12, 10), np.s_[2:6, 3:5, 2:9])
    said = json.loads(encode(volume))
    width, height, count = said["size"]
    assert (width, height, count) == (10, 12, 7)
    assert said["spacing"] == [1.0, 1.5, 3.0]
    assert said["first"] == 2
    strip, truth, called = (picture(uri) for uri in (said["image"], said["truth"], said["called"]["unet"]))
    for z in range(count):
        column, row = z % said["columns"], z // said["columns"]
        place = np.s_[row * height : (row + 1) * height, column * width : (column + 1) * width]
        seen = strip[place][::-1, ::-1] / 255 * 100  # radiological and back
        assert np.abs(seen - volume.image[z]).max() <= 100 / (LEVELS - 1) / 2 + 0.5
        assert (truth[place][::-1, ::-1] == volume.truth[z]).all()
        assert (called[place][::-1, ::-1] == ~volume.truth[z]).all()


def test_slices_are_turned_to_the_convention() -> None:
    shape, lesion = (1, 6, 8), np.s_[0:1, 5:6, 7:8]  # the most anterior voxel on the right
    for convention, column in ((Convention.RADIOLOGICAL, 0), (Convention.NEUROLOGICAL, -1)):
        said = json.loads(encode(scan(shape, lesion, convention=convention)))
        assert picture(said["truth"])[0, column]
        assert said["sides"][column] == "R"


def test_volumes_and_numbers_of_slices_are_those_of_the_complete_scan() -> None:
    volume = scan((200, 40, 30), np.s_[60:150, 10:14, 10:14])
    volume.image[:20] = 0  # cut away, but for a margin of two slices
    said = json.loads(encode(volume))
    assert said["slices"] == [19, 3, 200]
    ml = 1.0 * 1.5 * 3.0 / 1000
    assert said["ml"]["truth"] == pytest.approx(90 * 16 * ml)
    assert said["ml"]["called"]["unet"] == pytest.approx((200 * 40 * 30 - 90 * 16) * ml)


def test_small_lesions_survive_downsampling() -> None:
    volume = scan((200, 260, 240), np.s_[91:92, 101:102, 101:102])
    assert picture(json.loads(encode(volume))["truth"]).sum() == 1


def test_what_is_black_is_cut_away() -> None:
    volume = scan((9, 30, 30), np.s_[4:5, 12:15, 12:15])
    volume.image[:] = 0
    volume.image[3:6, 10:20, 8:18] = 80
    said = json.loads(encode(volume))
    assert said["size"] == [14, 14, 7]  # and two voxels of margin
    assert picture(said["truth"]).sum() == 9


def test_large_scans_are_thinned_out_and_stay_small() -> None:
    volume = scan((200, 260, 240), np.s_[90:120, 100:140, 100:140])
    text = encode(volume)
    said = json.loads(text)
    width, height, count = said["size"]
    assert max(width, height) <= LONGEST
    assert count <= SLICES
    assert said["spacing"] == [3.0, 4.5, 9.0]
    assert len(text) < 1_000_000  # noise to the last voxel; a brain takes a third


def test_a_black_volume_is_not_cropped() -> None:
    volume = scan((3, 8, 8), np.s_[0:0, 0:0, 0:0])
    volume.image[:] = 0
    said = json.loads(encode(volume))
    assert said["size"] == [8, 8, 3]
    assert said["first"] == 1


def test_a_montage_has_room_for_every_slice() -> None:
    for count in (1, 2, 5, 9, 10):
        whole = montage(np.full((count, 4, 6), 7))
        assert (whole == 7).sum() == count * 24

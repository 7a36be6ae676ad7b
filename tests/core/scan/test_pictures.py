from __future__ import annotations

import base64
import io

import numpy as np
from PIL import Image

from strokereg.core.scan.pictures import (
    CALLED,
    TRUTH,
    data_uri,
    label_colours,
    outline,
    radiological,
    trim,
    window,
)


def test_radiological_view_puts_anterior_up_and_right_on_the_left() -> None:
    plane = np.zeros((4, 5), dtype=int)  # [Y towards anterior, X towards the right]
    plane[3, 4] = 1  # anterior right
    assert radiological(plane)[0, 0] == 1


def test_window_maps_low_to_black_and_high_to_white() -> None:
    plane = np.full((6, 8), 0.5)
    plane[:3] = -1.0
    got = window(plane, -1.0, 0.5, scale=2)
    assert (got.shape, got.dtype) == ((12, 16), np.uint8)
    assert (got[0, 0], got[-1, -1]) == (0, 255)


def test_labels_keep_hard_edges_and_only_the_lesion_is_in_colour() -> None:
    plane = np.array([[0, 1, 2], [3, 4, 6]])
    got = label_colours(plane, 7, scale=3)
    assert got.shape == (6, 9, 3)
    assert tuple(got[0, 0]) == (0, 0, 0)
    assert tuple(got[5, 8]) == TRUTH
    assert len(np.unique(got.reshape(-1, 3), axis=0)) == 6


def test_outline_draws_the_border_alone() -> None:
    mask = np.zeros((5, 5), dtype=bool)
    mask[1:4, 1:4] = True
    image = np.full((15, 15), 90, dtype=np.uint8)
    got = outline(image, mask, CALLED)
    border = (got == CALLED).all(axis=2)
    assert border.sum() == 4 * 8
    assert border[3, 3]
    assert tuple(got[7, 7]) == (90, 90, 90)
    assert (image == 90).all()
    assert (outline(got, np.zeros_like(mask)) == got).all()


def test_trim_cuts_what_is_black_in_all_pictures() -> None:
    first, second = np.zeros((40, 50), np.uint8), np.zeros((40, 50, 3), np.uint8)
    first[20, 25], second[24, 30] = 200, (0, 200, 0)
    assert trim([first, second], margin=2) == (slice(18, 27), slice(23, 33))
    assert trim([first, np.zeros((4, 4), np.uint8)]) == (slice(None), slice(None))
    assert trim([np.zeros((4, 4), np.uint8)]) == (slice(None), slice(None))
    assert trim([]) == (slice(None), slice(None))


def test_data_uri_holds_the_picture() -> None:
    picture = np.arange(60, dtype=np.uint8).reshape(4, 5, 3)
    head, _, body = data_uri(picture[:, ::-1]).partition(",")
    assert head == "data:image/png;base64"
    assert (np.asarray(Image.open(io.BytesIO(base64.b64decode(body)))) == picture[:, ::-1]).all()

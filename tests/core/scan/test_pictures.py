from __future__ import annotations

import numpy as np

from strokereg.core.scan.pictures import (
    CALLED,
    TRUTH,
    label_colours,
    label_legend,
    outline,
    trim,
    window,
)


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


def test_the_legend_of_labels_has_the_colours_of_the_picture() -> None:
    names = ("background", "csf", "grey", "white", "lesion")
    keys = label_legend(names)
    assert [key.name for key in keys] == list(names[1:])
    picture = label_colours(np.arange(5)[None], 5, scale=1)[0]
    assert [key.colour for key in keys] == [tuple(colour) for colour in picture[1:].tolist()]
    assert all(key.filled for key in keys)
    many = label_legend(["background", *(f"tissue {i}" for i in range(1, 40)), "lesion"])
    assert [key.name for key in many] == ["tissue 1, and on in the order of the labels to", "tissue 39", "lesion"]
    assert many[-1].colour == TRUTH


def test_an_outline_lies_around_the_mask_and_can_be_seen_on_white_and_on_black() -> None:
    mask = np.zeros((7, 7), dtype=bool)
    mask[3, 3] = True  # a single voxel stays visible
    for grey in (0, 90, 255):
        image = np.full((21, 21), grey, dtype=np.uint8)
        got = outline(image, mask, CALLED)
        line = (got == CALLED).all(axis=2)
        assert line.sum() == 7 * 7 - 3 * 3  # two pixels wide
        assert (got[9:12, 9:12] == grey).all()
        assert (got[6, 6:15] == 0).all()  # a dark rim around it
        assert (image == grey).all()
        assert (outline(got, np.zeros_like(mask)) == got).all()


def test_trim_cuts_what_is_black_in_all_pictures() -> None:
    first, second = np.zeros((40, 50), np.uint8), np.zeros((40, 50, 3), np.uint8)
    first[20, 25], second[24, 30] = 200, (0, 200, 0)
    assert trim([first, second], margin=2) == (slice(18, 27), slice(23, 33))
    assert trim([first, np.zeros((4, 4), np.uint8)]) == (slice(None), slice(None))
    assert trim([np.zeros((4, 4), np.uint8)]) == (slice(None), slice(None))
    assert trim([]) == (slice(None), slice(None))

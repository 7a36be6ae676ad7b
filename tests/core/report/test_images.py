from __future__ import annotations

import base64
import io
import re

import numpy as np
from PIL import Image

from strokereg.core.report.images import Grounds, contour, data_uri
from strokereg.core.scan.pictures import CALLED, Outlined

ALL = (slice(None), slice(None))


def segments(path: str) -> set[tuple[int, int, str, int]]:
    return {(int(x), int(y), sign, int(n)) for x, y, sign, n in re.findall(r"M(\d+) (\d+)([hv])(\d+)", path)}


def test_a_contour_is_the_border_of_the_mask() -> None:
    mask = np.zeros((4, 5), dtype=bool)
    mask[1:3, 1:4] = True
    assert segments(contour(mask, 3)) == {(3, 3, "h", 9), (3, 9, "h", 9), (3, 3, "v", 6), (12, 3, "v", 6)}
    mask[2, 2] = False  # a notch
    assert (6, 6, "h", 3) in segments(contour(mask, 3))
    assert sum(n for *_, n in segments(contour(mask))) == 2 * (3 + 2) + 2
    assert contour(np.zeros((4, 5), dtype=bool)) == ""
    assert segments(contour(np.ones((2, 2), dtype=bool))) == {
        (0, 0, "h", 2),
        (0, 2, "h", 2),
        (0, 0, "v", 2),
        (2, 0, "v", 2),
    }


def test_equal_grounds_are_stored_once() -> None:
    ground, grounds = np.full((12, 9), 90, dtype=np.uint8), Grounds()
    mask = np.zeros((4, 3), dtype=bool)
    plain = grounds.cell(ground, ALL)
    drawn = grounds.cell(Outlined(ground, mask | True, CALLED), (slice(3, 12), slice(0, 6)))
    again = grounds.cell(Outlined(ground, mask, CALLED), ALL)
    assert (plain.ground, plain.view, plain.path) == ("ground0", "0 0 9 12", "")
    assert (drawn.ground, drawn.view, drawn.colour) == ("ground1", "0 3 6 9", "#56b4e9")
    assert again.ground == "ground0"
    assert grounds.rules().count("url(data:image/png;base64,") == 2


def test_data_uri_holds_the_picture() -> None:
    picture = np.arange(60, dtype=np.uint8).reshape(4, 5, 3)
    head, _, body = data_uri(picture[:, ::-1]).partition(",")
    assert head == "data:image/png;base64"
    assert (np.asarray(Image.open(io.BytesIO(base64.b64decode(body)))) == picture[:, ::-1]).all()

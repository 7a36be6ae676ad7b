"""The one place that knows the orientation of pictures."""

from __future__ import annotations

import numpy as np
import pytest

from strokereg.core.scan.view import Convention, axial


@pytest.mark.parametrize(("convention", "column", "sides"), [("radiological", 0, "RL"), ("neurological", -1, "LR")])
def test_anterior_is_up_and_the_right_side_is_where_its_letter_is(convention, column, sides):
    plane = np.zeros((4, 5), dtype=int)  # [Y towards anterior, X towards the right]
    plane[3, 4] = 1  # anterior right
    shown = Convention(convention).turn(plane)
    assert shown[0, column] == 1
    assert "".join(Convention(convention).sides) == sides
    assert sides[0 if column == 0 else 1] == "R"
    assert (Convention(convention).turn(np.stack([plane, plane]))[1] == shown).all()


def test_the_sentence_names_the_side_on_the_left():
    assert "radiological view: the patient's right (letter R) is on the left" in Convention.RADIOLOGICAL.sentence
    assert "neurological view: the patient's left (letter L) is on the left" in Convention.NEUROLOGICAL.sentence


def test_axial_slices_are_the_same_however_a_scan_is_stored():
    volume = np.arange(24).reshape(2, 3, 4)  # axes towards R, A and S
    straight = axial(volume, np.eye(4))
    assert (straight == volume.transpose(2, 1, 0)).all()
    assert (axial(volume[::-1], np.diag([-1.0, 1.0, 1.0, 1.0])) == straight).all()
    assert (axial(volume.transpose(2, 0, 1), np.eye(4)[:, [2, 0, 1, 3]]) == straight).all()

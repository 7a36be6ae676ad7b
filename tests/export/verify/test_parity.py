"""The gate: what is not the trained network does not get out."""

import math

import numpy as np
import pytest

from strokereg.core.cohort.cohort import open_cohort
from strokereg.core.train.runs import load_model
from strokereg.export.graph import graph_of, run
from strokereg.export.metadata import Parity
from strokereg.export.samples import samples_of
from strokereg.export.verify.parity import measure


@pytest.fixture(scope="module")
def trained(unet_run, phantom):
    record, model = load_model(unet_run)
    return record, model, samples_of(record, open_cohort(phantom))


def test_the_graph_itself_holds(trained):
    record, model, samples = trained
    graph = graph_of(model, record)
    parity = measure(lambda inputs: run(graph, inputs), graph, model, samples, 0.4)
    assert parity.holds
    assert parity.cases == 2
    assert len(parity.shapes) >= 4
    assert {shape[0] for shape in parity.shapes} >= {1, 3}


@pytest.mark.parametrize(("shift", "held"), [(2e-5, True), (2e-4, False), (math.nan, False)])
def test_a_shifted_output_is_measured(trained, shift, held):
    record, model, samples = trained
    graph = graph_of(model, record)
    parity = measure(lambda inputs: run(graph, inputs) + np.float32(shift), graph, model, samples, 0.4)
    assert parity.holds is held
    if not math.isnan(shift):
        assert parity.largest_difference == pytest.approx(shift, rel=0.1)


def test_flipped_masks_are_counted():
    numbers = {"largest_difference": 1e-6, "cases": 1, "shapes": ()}
    assert Parity(agreeing_voxels=0.99991, **numbers).holds
    assert not Parity(agreeing_voxels=0.99989, **numbers).holds
    assert Parity(agreeing_voxels=None, **numbers).holds

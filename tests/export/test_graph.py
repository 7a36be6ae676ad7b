"""The inference graph and the folding of parametrizations."""

import copy

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, parametrize

from strokereg.core.cohort.case import Case
from strokereg.core.cohort.cohort import open_cohort
from strokereg.core.scan.nifti import read_volume
from strokereg.core.train.prepared import prepare_image
from strokereg.core.train.runs import load_model
from strokereg.core.train.validation import predict
from strokereg.export.graph import fold, graph_of, run
from strokereg.export.samples import samples_of


@pytest.fixture
def spectral() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        parametrizations.spectral_norm(nn.Conv2d(1, 4, 3)), nn.Tanh(), parametrizations.weight_norm(nn.Conv2d(4, 1, 3))
    ).eval()


def test_folding_leaves_plain_weights_and_the_same_function(spectral):
    image = torch.rand(2, 1, 9, 9)
    expected = spectral(image)
    folded = fold(spectral)
    assert not any(parametrize.is_parametrized(module) for module in folded.modules())
    assert torch.equal(folded(image), expected)


def test_folding_leaves_the_original_as_it_was(spectral):
    before = copy.deepcopy(spectral.state_dict())
    fold(spectral)
    assert all(parametrize.is_parametrized(spectral[i]) for i in (0, 2))
    assert all(torch.equal(value, before[key]) for key, value in spectral.state_dict().items())
    spectral(torch.rand(1, 1, 9, 9))


def test_segmenter_graph_takes_raw_intensities(unet_run, phantom):
    record, model = load_model(unet_run)
    scan = read_volume(phantom / "sub-01" / "dwi" / "sub-01_dwi.nii.gz")
    image, _ = prepare_image(Case("sub-01", {"dwi": scan}, None, None), record.preparation)
    sample = samples_of(record, open_cohort(phantom))[0]
    probability = run(graph_of(model, record), sample)
    assert sample["image"].max() > 50  # raw, not normalised
    assert probability.shape == (image.shape[1], 1, *image.shape[2:])
    np.testing.assert_allclose(probability[:, 0], predict(model, image, record.problem.size), atol=1e-6)


def test_the_caller_keeps_a_model_in_training_mode(unet_run):
    record, model = load_model(unet_run)
    graph = graph_of(model.train(), record)
    assert model.training
    assert not graph.training
    assert graph.network is not model


@pytest.mark.parametrize(("name", "inputs"), [("pix2pix", ["labels"]), ("spade", ["labels", "noise"])])
def test_translator_graph_takes_labels(make_run, name, inputs):
    folder = make_run(name, **({"ngf": 4, "hidden": 8} if name == "spade" else {"ngf": 4}))
    record, model = load_model(folder)
    graph = graph_of(model, record)
    assert list(graph.inputs) == inputs
    image = run(graph, graph.random(2, (32, 32), np.random.RandomState(0)))
    assert image.shape == (2, 1, 32, 32)
    assert abs(image).max() <= 1.0

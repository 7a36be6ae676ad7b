"""The loss of a lower precision, measured and refused."""

import contextlib

import numpy as np
import pytest

from strokereg.core.cohort.cohort import open_cohort
from strokereg.export.files import open_on_cpu, read_bundle
from strokereg.export.metadata import Gate
from strokereg.export.samples import cases_of
from strokereg.export.verify.gate import measure_gate, require_gate
from strokereg.registry.errors import InputError, RunFailed


@pytest.fixture(scope="module")
def bundle(exported):
    return read_bundle(exported["onnx"])


def test_a_segmenter_is_compared_by_dice_with_the_true_masks(exported, bundle, phantom):
    run, cases = open_on_cpu(exported["onnx"]), cases_of(open_cohort(phantom))
    same = measure_gate(run, run, bundle, cases, [])
    assert (same.measure, same.cases, same.loss) == ("mean Dice", 3, 0.0)
    blind = measure_gate(run, lambda inputs: run(inputs) * 0, bundle, cases, [])
    assert blind.loss == pytest.approx(same.full)
    assert not blind.holds
    with pytest.raises(InputError, match="needs validation cases with lesion masks"):
        measure_gate(run, run, bundle, [], [])


def test_a_translator_is_compared_by_the_change_of_its_images(bundle):
    translator = bundle.model_copy(update={"role": "translator"})
    samples = [{"labels": np.zeros((1, 4, 4))}, {"labels": np.ones((1, 4, 4))}]
    gate = measure_gate(lambda x: x["labels"], lambda x: x["labels"] + 0.25, translator, [], samples)
    assert (gate.loss, gate.cases, gate.holds) == (0.25, 2, False)
    with pytest.raises(InputError, match="is measured on label maps"):
        measure_gate(lambda x: x, lambda x: x, translator, [], [])


def test_a_generator_is_compared_by_the_overlap_of_its_masks(bundle):
    generator = bundle.model_copy(update={"role": "generator", "noise": 8})

    def run(inputs):
        return (inputs["noise"] > 0).astype(np.float32)

    assert measure_gate(run, run, generator, [], []).loss == 0.0
    assert measure_gate(run, lambda inputs: 1 - run(inputs), generator, [], []).full == 1.0
    assert not measure_gate(run, lambda inputs: 1 - run(inputs), generator, [], []).holds


@pytest.mark.parametrize(("loss", "held"), [(0.005, True), (0.0051, False), (float("nan"), False)])
def test_a_loss_above_what_is_allowed_is_refused(loss, held):
    gate = Gate(measure="mean Dice", full=0.8, reduced=0.8 - loss, loss=loss, allowed=0.005, cases=3)
    refused = pytest.raises(RunFailed, match=r"unet in int8 loses .* allowed is 0\.005; add --force")
    with contextlib.nullcontext() if held else refused:
        require_gate(gate, "unet in int8", "add --force")

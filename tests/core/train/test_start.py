"""Starting from a finished run: what is recorded, and what is refused in one sentence."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import load_file

from strokereg.core.roles import Batch
from strokereg.core.storage.cache import sha256_of
from strokereg.core.train.record import WEIGHTS, Record, Start
from strokereg.core.train.runs import load_start, train_run
from strokereg.core.train.start import DIGITS, read_start
from strokereg.registry.catalogue import build
from strokereg.registry.errors import InputError
from strokereg.registry.problem import Problem


def start_of(run, name="unet", channels=("dwi",), labels=(), adapt=False, cohort=None):
    return read_start(run, name, channels, labels, cohort or {}, adapt)


def draw(step, device, progress):
    image = torch.rand(2, 1, 32, 32, generator=torch.Generator().manual_seed(step))
    return Batch(torch.zeros(2, 32, 32, dtype=torch.int64), image, (image > 0.7).float(), progress)


def record_like(run, **changes):
    settings = {"steps": 3, "checkpoint_seconds": 0, "device": "cpu", "precision": "fp32"}
    return Record.read(run).model_copy(update={"trainer": settings, "done": False, **changes})


def test_a_start_says_where_the_weights_are_from(unet_run):
    start = start_of(unet_run)
    assert (start.run, start.cohort, start.adapt) == (unet_run.name, "phantom", False)
    assert start.weights == sha256_of(unet_run / WEIGHTS)[:DIGITS]


def test_a_training_begins_with_the_weights_and_resumes_as_usual(unet_run, tmp_path):
    record = record_like(unet_run, start=start_of(unet_run))
    record.trainer["average"] = 0.0
    begun = build("unet", record.problem, record.options)
    load_start(begun, record.start)
    for name, value in load_file(unet_run / WEIGHTS).items():
        assert torch.equal(begun.state_dict()[name], value)
    whole = train_run(tmp_path / "whole", record, draw)
    random = train_run(tmp_path / "random", record.model_copy(update={"start": None}), draw)
    assert not torch.equal(whole.head.weight, random.head.weight)
    assert Record.read(tmp_path / "whole").start == record.start

    def stop(step, losses):
        if step == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_run(tmp_path / "cut", record, draw, stop)
    resumed = train_run(tmp_path / "cut", record, draw)
    for a, b in zip(whole.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(a, b)


def test_the_weights_and_not_their_folder_make_the_training(unet_run, tmp_path):
    start = start_of(unet_run)
    record = record_like(unet_run, start=start)
    train_run(tmp_path, record, draw)
    moved = start.model_copy(update={"path": "/elsewhere", "run": "elsewhere"})
    train_run(tmp_path, record.model_copy(update={"start": moved}), draw)  # finds it finished
    for other in (None, start.model_copy(update={"weights": "0" * 16})):
        with pytest.raises(InputError, match="holds another run"):
            train_run(tmp_path, record.model_copy(update={"start": other}), draw)


def test_what_does_not_fit_is_refused(unet_run, make_run, tmp_path):
    with pytest.raises(InputError, match="is a run of unet, not of dynunet"):
        start_of(unet_run, "dynunet")
    with pytest.raises(InputError, match="has the channels dwi, and this training has dwi, adc"):
        start_of(unet_run, channels=("dwi", "adc"))
    translator = make_run("pix2pix", ngf=4, ndf=4)
    with pytest.raises(InputError, match=r"has the labels .* and this training has background, lesion"):
        start_of(translator, "pix2pix", labels=("background", "lesion"))
    with pytest.raises(InputError, match="not a run folder"):
        start_of(tmp_path)
    own = Record.read(unet_run).cohort
    assert start_of(unet_run, cohort=own)
    with pytest.raises(InputError, match="another fold of this cohort"):
        start_of(unet_run, cohort={**own, "fold": 2})


def test_an_unfinished_run_is_refused(unet_run, tmp_path):
    Record.read(unet_run).model_copy(update={"done": False}).write(tmp_path)
    with pytest.raises(InputError, match="the run is not finished"):
        start_of(tmp_path)


def test_with_adapt_the_layers_of_another_shape_start_anew(unet_run):
    record = Record.read(unet_run)
    wider = build("unet", Problem(size=(32, 32), channels=2), record.options)
    before = wider.state_dict()["down.0.0.weight"].clone()
    with pytest.raises(InputError, match="does not fit the network"):
        load_start(wider, start_of(unet_run))
    load_start(wider, start_of(unet_run, channels=("dwi", "adc"), adapt=True))
    found, weights = wider.state_dict(), load_file(unet_run / WEIGHTS)
    assert torch.equal(found["down.0.0.weight"], before)
    assert all(torch.equal(found[name], weights[name]) for name in weights if name != "down.0.0.weight")


def test_adapt_refuses_another_network(unet_run):
    record = Record.read(unet_run)
    wider = build("unet", record.problem, {"widths": tuple(3 * width for width in record.options["widths"])})
    with pytest.raises(InputError, match="fewer than half of its weights fit"):
        load_start(wider, start_of(unet_run, adapt=True))


def test_weights_that_changed_meanwhile_are_refused(unet_run):
    model = build("unet", Record.read(unet_run).problem, Record.read(unet_run).options)
    start = start_of(unet_run).model_copy(update={"weights": "0" * 16})
    assert isinstance(start, Start)
    with pytest.raises(InputError, match="has changed or is gone"):
        load_start(model, start)

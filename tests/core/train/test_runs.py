"""Run folders: begun, gone on with, finished, refused."""

from __future__ import annotations

import pytest
import torch
from filelock import FileLock

from strokereg.core.cohort.labels import TISSUES
from strokereg.core.roles import Batch
from strokereg.core.scan.grid import Preparation
from strokereg.core.train import runs
from strokereg.core.train.record import CHECKPOINT, WEIGHTS, Record
from strokereg.core.train.runs import load_model, train_run
from strokereg.registry.catalogue import build
from strokereg.registry.errors import InputError
from strokereg.registry.problem import Problem

PROBLEM = Problem(size=(16, 16))


def record(**changes):
    settings = {"steps": 6, "checkpoint_every": 2, "device": "cpu", "precision": "fp32"}
    plain = {"architecture": "unet", "role": "segmenter", "problem": PROBLEM, "preparation": Preparation()}
    whole = Record(**plain, options={"widths": (4, 8)}, labels=TISSUES.names, trainer=settings)
    return whole.model_copy(update=changes)


def draw(step, device, progress):
    image = torch.rand(2, 1, 16, 16, generator=torch.Generator().manual_seed(step))
    return Batch(torch.zeros(2, 16, 16, dtype=torch.int64), image, (image > 0.7).float(), progress)


def test_a_finished_run_is_loaded_and_not_trained_again(tmp_path):
    trained = train_run(tmp_path, record(), draw)
    steps = []
    again = train_run(tmp_path, record(), draw, lambda step, losses: steps.append(step))
    assert steps == []
    for a, b in zip(trained.parameters(), again.parameters(), strict=True):
        assert torch.equal(a, b)
    assert Record.read(tmp_path).done
    assert not (tmp_path / CHECKPOINT).exists()


def test_an_interrupted_run_goes_on_to_the_same_weights(tmp_path):
    whole = train_run(tmp_path / "whole", record(), draw)

    def stop(step, losses):
        if step == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_run(tmp_path / "cut", record(), draw, stop)
    with pytest.raises(InputError, match="not finished"):
        load_model(tmp_path / "cut")
    steps = []
    resumed = train_run(tmp_path / "cut", record(), draw, lambda step, losses: steps.append(step))
    assert steps == [5, 6]
    for a, b in zip(whole.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(a, b)
    histories = [(tmp_path / run / "history.csv").read_bytes() for run in ("whole", "cut")]
    assert histories[0] == histories[1]


def test_another_run_in_the_folder_is_refused(tmp_path):
    train_run(tmp_path, record(), draw)
    before = (tmp_path / WEIGHTS).read_bytes()
    with pytest.raises(InputError, match=r"another run of unet.*--out"):
        train_run(tmp_path, record(options={"widths": (4, 16)}), draw)
    assert (tmp_path / WEIGHTS).read_bytes() == before


def test_a_run_is_known_again_when_its_cohort_has_moved(tmp_path):
    cohort = {"name": "here", "path": "/here", "key": "abc"}
    train_run(tmp_path, record(cohort=cohort), draw)
    train_run(tmp_path, record(cohort=cohort | {"name": "there", "path": "/there"}), draw)
    with pytest.raises(InputError, match="another run"):
        train_run(tmp_path, record(cohort=cohort | {"key": "abd"}), draw)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"options": {"width": (4, 8)}}, "no option 'width'"),
        ({"trainer": {"steps": 6, "precision": "fp16", "device": "cpu"}}, "needs a CUDA GPU"),
        ({"trainer": {"steps": 6, "device": "cuda:63"}}, "not on this machine"),
    ],
)
def test_what_cannot_be_trained_leaves_no_folder(tmp_path, changes, said):
    with pytest.raises(InputError, match=said):
        train_run(tmp_path / "run", record(**changes), draw)
    assert not (tmp_path / "run").exists()


def test_a_file_in_place_of_the_folder_is_one_sentence(tmp_path):
    (tmp_path / "run").touch()
    with pytest.raises(InputError, match="no folder can be made there"):
        train_run(tmp_path / "run", record(), draw)


def test_a_folder_in_use_is_refused(tmp_path):
    with FileLock(tmp_path / ".lock"), pytest.raises(InputError, match="another process is training"):
        train_run(tmp_path, record(), draw)


def test_a_damaged_record_is_one_sentence(tmp_path):
    with pytest.raises(InputError, match="not a run folder"):
        Record.read(tmp_path)
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(InputError, match="not a run record"):
        load_model(tmp_path)


def test_a_network_with_weights_in_the_folder_is_built_without_pretrained_ones(tmp_path, monkeypatch):
    asked = []

    def watch(name, problem, options):
        asked.append(options.get("pretrained"))
        return build(name, problem, {key: value for key, value in options.items() if key != "pretrained"})

    monkeypatch.setattr(runs, "build", watch)
    wanted = record(options={"widths": (4, 8), "pretrained": "true"})

    def stop(step, losses):
        if step == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_run(tmp_path, wanted, draw, stop)
    assert asked == ["true"]
    train_run(tmp_path, wanted, draw)  # goes on from the checkpoint
    load_model(tmp_path)
    assert asked == ["true", None, None]
    assert Record.read(tmp_path).options["pretrained"] == "true"


def test_others_may_read_the_weights(tmp_path):
    """As any file that this user makes, by the umask: a run in a shared folder is there to be shared."""
    train_run(tmp_path / "run", record(), draw)
    (tmp_path / "plain").touch()
    assert (tmp_path / "run" / WEIGHTS).stat().st_mode == (tmp_path / "plain").stat().st_mode

"""Weights fit whole or are refused, and nothing outside a run folder is read."""

import json
import struct
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from strokereg.core.train.record import CHECKPOINT, HISTORY, RECORD, WEIGHTS, Record
from strokereg.core.train.runs import load_model, train_run
from strokereg.core.train.weights import load_weights
from strokereg.export.run import export
from strokereg.registry.errors import InputError


@pytest.fixture
def model() -> nn.Module:
    return nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 1))


def test_weights_are_loaded(model, tmp_path):
    wanted = {key: torch.full_like(value, 0.5) for key, value in model.state_dict().items()}
    save_file(wanted, tmp_path / WEIGHTS)
    load_weights(model, tmp_path)
    assert all(torch.equal(value, wanted[key]) for key, value in model.state_dict().items())


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"0.weight": torch.zeros(2, 4)}, r"0\.weight is \(2, 4\) in the file and \(2, 3\) in the network"),
        ({"0.weight": None}, r"0\.weight is missing in the file"),
        ({"2.weight": torch.zeros(1)}, r"2\.weight is \(1,\) in the file and missing in the network"),
    ],
)
def test_weights_of_another_form_are_refused_and_none_is_loaded(model, tmp_path, change, fault):
    before = {key: value.clone() for key, value in model.state_dict().items()}
    content = {key: value + 1 for key, value in before.items()} | change
    save_file({key: value for key, value in content.items() if value is not None}, tmp_path / WEIGHTS)
    with pytest.raises(InputError, match=fault):
        load_weights(model, tmp_path)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


def test_oversize_weights_are_refused_by_their_head(model, tmp_path):
    """Gigabytes of one tensor, on a disk that has them as a hole; and a head that promises more than there is."""
    size = 4 * 2**30
    head = json.dumps({"0.weight": {"dtype": "F32", "shape": [2**30], "data_offsets": [0, size]}}).encode()
    with (tmp_path / WEIGHTS).open("wb") as file:
        file.write(struct.pack("<Q", len(head)) + head)
        file.truncate(8 + len(head) + size)
    with pytest.raises(InputError, match=r"0\.bias is missing in the file"):
        load_weights(model, tmp_path)
    (tmp_path / WEIGHTS).write_bytes(struct.pack("<Q", len(head)) + head)
    with pytest.raises(InputError, match="damaged weights"):
        load_weights(model, tmp_path)


def test_damaged_and_missing_weights(model, tmp_path):
    with pytest.raises(InputError, match="no such file; train the run again"):
        load_weights(model, tmp_path)
    (tmp_path / WEIGHTS).write_bytes(b"not weights at all")
    with pytest.raises(InputError, match="damaged weights"):
        load_weights(model, tmp_path)


@pytest.mark.parametrize("name", [WEIGHTS, RECORD])
def test_a_strangers_folder_leads_nowhere_else(model, tmp_path, name):
    elsewhere, run = tmp_path / "elsewhere", tmp_path / "run"
    elsewhere.mkdir()
    run.mkdir()
    save_file(model.state_dict(), elsewhere / WEIGHTS)
    (elsewhere / RECORD).write_text("{}")
    (run / name).symlink_to(Path("..") / "elsewhere" / name)
    with pytest.raises(InputError, match="leads out of the run folder"):
        load_weights(model, run) if name == WEIGHTS else Record.read(run)
    linked = tmp_path / "linked"
    linked.symlink_to(elsewhere)
    load_weights(model, linked)  # the folder itself may be a link: what is in it stays in it


@pytest.mark.parametrize("name", [WEIGHTS, CHECKPOINT, RECORD, HISTORY])
def test_training_goes_on_in_no_file_outside_its_folder(tmp_path, make_run, name):
    """Not even in one that is not there yet, which would be made."""
    record = Record.read(make_run("unet", widths=(4, 8)))
    run, elsewhere = tmp_path / "run", tmp_path / "elsewhere"
    run.mkdir()
    (run / name).symlink_to(elsewhere)
    with pytest.raises(InputError, match="leads out of the run folder"):
        train_run(run, record, lambda *_: None)
    assert not elsewhere.exists()


def test_a_record_names_what_is_installed_and_nothing_else(tmp_path, make_run, monkeypatch):
    """Neither a path nor a module: what a stranger's record says of its factory is for the reader."""
    run = make_run("unet", widths=(4, 8))
    record = Record.read(run)
    (tmp_path / "acme_evil.py").write_text("raise SystemExit('was run')")
    monkeypatch.syspath_prepend(tmp_path)
    record.model_copy(update={"factory": "acme_evil:Net"}).write(run)
    assert load_model(run)[0].factory == "acme_evil:Net"
    for name in ("../../acme_evil", "/etc/passwd", "acme_evil:Net"):
        record.model_copy(update={"architecture": name}).write(run)
        with pytest.raises(InputError, match="no model is named"):
            load_model(run)
    (run / "export").symlink_to(tmp_path)
    record.write(run)
    with pytest.raises(InputError, match="leads out of the run folder"):
        export(run, formats=["torchscript"])


def test_a_record_is_data_and_nothing_else(tmp_path):
    for content in ("!!python/object/apply:os.system ['true']", '{"architecture": "unet", "run": "rm"}', "\x80\x04"):
        (tmp_path / RECORD).write_text(content)
        with pytest.raises(InputError, match="not a run record"):
            Record.read(tmp_path)

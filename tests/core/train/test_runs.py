"""Run folders: trained, resumed, loaded, refused. Weights fit exactly, and nothing outside the folder is read."""

from __future__ import annotations

import json
import signal
import struct
from pathlib import Path

import pytest
import torch
from filelock import FileLock
from safetensors.torch import load_file, save_file
from torch import nn

from strokereg.core.cohort.labels import TISSUES
from strokereg.core.roles import Batch
from strokereg.core.scan.grid import Preparation
from strokereg.core.train import runs
from strokereg.core.train.record import CHECKPOINT, HISTORY, PREVIOUS, RECORD, WEIGHTS, Record
from strokereg.core.train.runs import load_model, load_weights, train_run
from strokereg.export.run import export
from strokereg.registry.catalogue import build
from strokereg.registry.errors import InputError, OutputFailed
from strokereg.registry.problem import Problem

PROBLEM = Problem(size=(16, 16))


def record(**changes):
    settings = {"steps": 6, "checkpoint_seconds": 0, "device": "cpu", "precision": "fp32"}
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


def test_a_run_that_is_loaded_again_is_on_the_device_of_the_training(tmp_path, monkeypatch):
    train_run(tmp_path, record(), draw)
    monkeypatch.setattr(runs, "choose_device", lambda name: torch.device("meta"))  # as a GPU would be
    assert next(train_run(tmp_path, record(), draw).parameters()).device.type == "meta"


def test_what_only_the_training_needs_is_not_delivered(tmp_path, monkeypatch):
    """It is in the checkpoint, from which an interrupted training goes on, and not in the weights."""

    class Pool(nn.Module):
        training_only = True

        def __init__(self):
            super().__init__()
            self.register_buffer("items", torch.zeros(1000))

    class WithPool(nn.Module):
        def __init__(self):
            super().__init__()
            self.unet, self.pool = build("unet", PROBLEM, {"widths": (4, 8)}), Pool()

        def players(self):
            return self.unet.players()

        def moves(self, batch):
            self.pool.items += 1
            yield from self.unet.moves(batch)

    monkeypatch.setattr(runs, "build", lambda *_: WithPool())
    seen = []

    with pytest.raises(KeyboardInterrupt):
        train_run(tmp_path, record(), draw, interrupt)
    trained = train_run(tmp_path, record(), draw, lambda step, losses: seen.append(step))
    assert seen == [5, 6]
    assert (trained.pool.items == 6).all()
    assert not any(name.startswith("pool.") for name in load_file(tmp_path / WEIGHTS))
    loaded = load_model(tmp_path)[1]
    assert not loaded.pool.items.any()
    for a, b in zip(trained.parameters(), loaded.parameters(), strict=True):
        assert torch.equal(a, b)


def interrupt(step, losses):
    """Ctrl-C in the fifth step."""
    if step == 5:
        raise KeyboardInterrupt


def test_an_interrupted_run_goes_on_to_the_same_weights(tmp_path):
    whole = train_run(tmp_path / "whole", record(), draw)

    with pytest.raises(KeyboardInterrupt):
        train_run(tmp_path / "cut", record(), draw, interrupt)
    with pytest.raises(InputError, match="not finished"):
        load_model(tmp_path / "cut")
    steps = []
    (tmp_path / "cut").rename(tmp_path / "moved")
    resumed = train_run(tmp_path / "moved", record(), draw, lambda step, losses: steps.append(step))
    assert steps == [5, 6]
    for a, b in zip(whole.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(a, b)
    histories = [(tmp_path / run / "history.csv").read_bytes() for run in ("whole", "moved")]
    assert histories[0] == histories[1]


def cut_short(path):
    path.write_bytes(path.read_bytes()[:-50])


@pytest.mark.parametrize(
    ("damaged", "steps", "told"),
    [
        (
            (CHECKPOINT,),
            [4, 5, 6],
            "checkpoint.safetensors: is damaged, so the training goes on from the checkpoint before",
        ),
        ((CHECKPOINT, PREVIOUS), [1, 2, 3, 4, 5, 6], "is damaged, so the training starts again"),
    ],
)
def test_a_checkpoint_that_was_cut_short_is_passed_over_and_named(tmp_path, caplog, damaged, steps, told):
    expected = train_run(tmp_path / "untouched", record(), draw)

    with pytest.raises(KeyboardInterrupt):
        train_run(tmp_path / "run", record(), draw, interrupt)
    for name in damaged:
        cut_short(tmp_path / "run" / name)
    seen = []
    resumed = train_run(tmp_path / "run", record(), draw, lambda step, losses: seen.append(step))
    assert seen == steps
    assert told in caplog.text
    for a, b in zip(expected.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(a, b)
    assert (tmp_path / "run" / HISTORY).read_bytes() == (tmp_path / "untouched" / HISTORY).read_bytes()
    assert not (tmp_path / "run" / PREVIOUS).exists()


@pytest.mark.parametrize("damage", [cut_short, Path.unlink])
def test_a_run_whose_weights_are_lost_is_trained_again(tmp_path, caplog, damage):
    first = train_run(tmp_path, record(), draw)
    damage(tmp_path / WEIGHTS)
    with pytest.raises(InputError, match="remove its folder and train the run again with the same command"):
        load_model(tmp_path)
    again = train_run(tmp_path, record(), draw)
    assert "is trained again, because its weights are lost" in caplog.text
    for a, b in zip(first.parameters(), again.parameters(), strict=True):
        assert torch.equal(a, b)
    load_model(tmp_path)


@pytest.fixture
def full_disk():
    """A function after which this process may write no file larger than so many bytes, as if the disk were full."""
    resource = pytest.importorskip("resource", reason="file sizes cannot be limited on this system")
    before, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, handler)


@pytest.mark.parametrize(("room", "named"), [(2000, CHECKPOINT), (10, HISTORY)])
def test_a_disk_that_fills_up_keeps_the_last_checkpoint(tmp_path, full_disk, room, named):
    def fill(step, losses):
        if step == 3:
            full_disk(room)

    with pytest.raises(OutputFailed, match=rf"{named}: cannot be written \(.*\); make room and run the same command"):
        train_run(tmp_path, record(), draw, fill)
    full_disk(2**40)
    assert not [path.name for path in tmp_path.iterdir() if path.name.startswith(".") and path.name != ".lock"]
    steps = []
    train_run(tmp_path, record(), draw, lambda step, losses: steps.append(step))
    assert steps == [3, 4, 5, 6]


def test_the_kind_of_device_and_the_precision_make_another_run(tmp_path, monkeypatch):
    """A run of an earlier call was made on a GPU, and is not taken for one in fp32 on the CPU."""
    train_run(tmp_path, record(), draw)
    done = Record.read(tmp_path)
    monkeypatch.setattr(runs, "choose_device", lambda name: torch.device("cpu"))
    for device, precision in (("cpu", "bf16"), ("cuda", "fp32")):
        other = {**done.trainer, "device": device, "precision": precision}
        with pytest.raises(InputError, match="holds another run"):
            train_run(tmp_path, record(trainer=other), draw)
    on_gpu = {**done.trainer, "device": "cuda:1"}
    done.model_copy(update={"trainer": on_gpu}).write(tmp_path)
    train_run(tmp_path, record(trainer={**on_gpu, "device": "cuda:0"}), draw)  # loads it


def test_another_run_in_the_folder_is_refused(tmp_path):
    train_run(tmp_path, record(), draw)
    before = (tmp_path / WEIGHTS).read_bytes()
    with pytest.raises(InputError, match=r"another run of unet \(--set widths 4,8, now 4,16\); choose another --out"):
        train_run(tmp_path, record(options={"widths": (4, 16)}), draw)
    assert (tmp_path / WEIGHTS).read_bytes() == before


def test_a_run_is_known_again_when_its_cohort_has_moved(tmp_path):
    cohort = {"name": "here", "path": "/here", "key": "abc"}
    train_run(tmp_path, record(cohort=cohort), draw)
    train_run(tmp_path, record(cohort=cohort | {"name": "there", "path": "/there"}), draw)
    with pytest.raises(InputError, match=r"another run of unet \(other data\)"):
        train_run(tmp_path, record(cohort=cohort | {"key": "abd"}), draw)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"options": {"width": (4, 8)}}, "no option 'width'"),
        ({"trainer": {"steps": 6, "precision": "fp16", "device": "cpu"}}, "needs a CUDA GPU"),
        ({"trainer": {"steps": 6, "device": "cuda:63"}}, "--device cuda:63: .*; choose auto or cpu"),
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
    with pytest.raises(InputError, match="no such file; remove its folder and train the run again"):
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


@pytest.mark.parametrize("name", [WEIGHTS, CHECKPOINT, PREVIOUS, RECORD, HISTORY])
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

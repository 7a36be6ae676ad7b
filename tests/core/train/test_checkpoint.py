"""Trees of tensors, whole or not at all."""

from __future__ import annotations

import threading

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

from strokereg.core.train import checkpoint
from strokereg.core.train.checkpoint import BackgroundWriter, is_complete, load_checkpoint, load_tree
from strokereg.registry.errors import InputError, OutputFailed

TREE = {
    "step": 7,
    "state": {0: {"exp_avg": torch.randn(2, 3), "step": torch.tensor(3.0)}, 1: {}},
    "groups": [{"lr": 1e-3, "betas": [0.5, 0.9], "capturable": False, "foreach": None, "params": [0, 1]}],
    "averages": {"a": [torch.ones(2, dtype=torch.bfloat16), torch.zeros((), dtype=torch.int64)]},
}


def same(a, b):
    if isinstance(a, torch.Tensor):
        return a.dtype == b.dtype and torch.equal(a, b)
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list):
        return len(a) == len(b) and all(map(same, a, b))
    return a == b and type(a) is type(b)


def save_tree(path, tree):
    with BackgroundWriter() as writer:
        writer.save(path, tree)


def test_a_tree_comes_back_as_it_was(tmp_path):
    save_tree(tmp_path / "c.safetensors", TREE)
    assert same(load_tree(tmp_path / "c.safetensors"), TREE)
    assert [path.name for path in tmp_path.iterdir()] == ["c.safetensors"]


def test_shared_tensors_are_kept_apart(tmp_path):
    weight = torch.ones(3)
    save_tree(tmp_path / "c.safetensors", {"a": weight, "b": [weight, weight[:2]]})
    assert torch.equal(load_tree(tmp_path / "c.safetensors")["b"][1], torch.ones(2))


@pytest.mark.parametrize("keep", [0, 5, 60])
def test_a_truncated_file_is_one_sentence(tmp_path, keep):
    path = tmp_path / "c.safetensors"
    save_tree(path, TREE)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(InputError, match="damaged"):
        load_tree(path)


def test_a_missing_file_is_one_sentence(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        load_tree(tmp_path / "c.safetensors")


def test_the_checkpoint_before_is_kept_and_used_where_the_last_one_is_lost(tmp_path):
    path = tmp_path / "checkpoint.safetensors"
    assert load_checkpoint(path) is None
    with BackgroundWriter() as writer:
        for step in (1, 2, 3):
            writer.save(path, TREE | {"step": step})
    assert load_checkpoint(path)["step"] == 3
    assert len(list(tmp_path.iterdir())) == 2
    path.unlink()  # as after a crash between two renames
    assert load_checkpoint(path)["step"] == 2


def test_a_complete_file_is_told_from_others(tmp_path):
    path = tmp_path / "c.safetensors"
    assert not is_complete(path)
    save_tree(path, TREE)
    assert is_complete(path)
    path.write_bytes(path.read_bytes()[:-1])
    assert not is_complete(path)


def test_a_copy_for_the_file_takes_no_memory_of_the_device():
    """On a pretended GPU."""
    places = []

    class Watch(TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            made = func(*args, **(kwargs or {}))
            if isinstance(made, torch.Tensor) and not func.is_view:
                places.append((str(func), made.device.type))
            return made

    with FakeTensorMode() as fake:
        weight = fake.from_tensor(torch.ones(3, 4)).to("cuda").T
        with Watch():
            checkpoint._copied({"weight": weight, "parts": [weight[:2]]})
    assert places
    assert {place for name, place in places if "detach" not in name} == {"cpu"}, places


def test_a_tree_is_written_in_the_background_as_it_was(tmp_path, monkeypatch):
    go_on, write = threading.Event(), checkpoint.save_file

    def slow(*arguments, **settings):
        assert go_on.wait(60)
        write(*arguments, **settings)

    monkeypatch.setattr(checkpoint, "save_file", slow)
    path, weight = tmp_path / "c.safetensors", torch.ones(3)
    with BackgroundWriter() as writer:
        writer.save(path, {"weight": weight})
        assert not path.exists()
        weight += 1  # the training goes on
        go_on.set()
        writer.save(tmp_path / "d.safetensors", {"weight": weight})
    assert torch.equal(load_tree(path)["weight"], torch.ones(3))
    assert torch.equal(load_tree(tmp_path / "d.safetensors")["weight"], torch.full((3,), 2.0))


def test_a_tree_that_cannot_be_written_is_an_error_at_the_end(tmp_path):
    with pytest.raises(OutputFailed, match=r"nowhere.*cannot be written"), BackgroundWriter() as writer:
        writer.save(tmp_path / "nowhere" / "c.safetensors", {"weight": torch.ones(3)})

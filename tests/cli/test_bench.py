"""`strokereg bench` as it is typed."""

import json

import pytest

from strokereg.cli.main import main


def test_a_file_is_timed_beside_its_siblings(exported, capsys):
    assert main(["bench", str(exported["onnx"]), "--rounds", "2", "--batch", "2", "--threads", "1", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    ways = [way["way"] for way in found["ways"]]
    assert ways[0] == "onnxruntime, fp32"
    assert {"TorchScript", "torch.export"} <= set(ways)
    assert ("OpenVINO, fp32" in ways) != ("OpenVINO, fp32" in found["absent"])
    assert (found["ways"][0]["latency_ratio"], found["ways"][0]["throughput_ratio"]) == (1.0, 1.0)
    assert all(way["latency_ms"] > 0 and way["items_per_second"] > 0 for way in found["ways"])
    assert (found["size"], found["batch"], found["threads"]) == ([32, 32], 2, 1)


@pytest.mark.slow
def test_a_run_is_compared_with_eager_torch(make_run, capsys):
    run = make_run("mask-gan", ngf=4, ndf=4)
    assert main(["bench", str(run), "--rounds", "2", "--batch", "2"]) == 0
    printed = capsys.readouterr()
    assert printed.out.splitlines()[1].startswith("PyTorch, eager")
    assert "onnxruntime, fp32" in printed.out
    assert "mask-gan, items of as trained, batches of 2; ratios above 1 are faster than PyTorch, eager" in printed.err
    assert not (run / "export").exists()


def test_what_cannot_be_timed(exported, tmp_path, capsys):
    assert main(["bench", str(tmp_path / "none.onnx")]) == 2
    assert "no such file" in capsys.readouterr().err
    assert main(["bench", str(tmp_path)]) == 2
    assert "not a run folder" in capsys.readouterr().err
    assert main(["bench", str(exported["onnx"]), "--size", "32"]) == 2
    assert "--size 32: unet needs 2 edges" in capsys.readouterr().err

"""`strokereg web`: writes the page, serves it, ends at Ctrl-C."""

from __future__ import annotations

from pathlib import Path

from strokereg.cli.main import main
from strokereg.export.targets import serve


def test_writes_serves_and_ends_at_ctrl_c(tmp_path, monkeypatch, capsys):
    asked = []

    def write(out: Path, model: str | None) -> None:
        out.mkdir(exist_ok=True)
        asked.append((out, model))

    def interrupted(self) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(serve, "write_page", write)
    monkeypatch.setattr(serve.PageServer, "serve_forever", interrupted)
    page = tmp_path / "page"
    assert main(["web", "--out", str(page), "--port", "0"]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("http://127.0.0.1:")
    assert "Ctrl-C stops" in err
    assert main(["web", "--out", str(page), "--model", "unet.onnx", "--no-serve"]) == 0
    assert capsys.readouterr().out == f"{page}\n"
    assert asked == [(page, None), (page, "unet.onnx")]


def test_no_such_model(tmp_path, capsys):
    assert main(["web", "--out", str(tmp_path / "page"), "--model", "sim-dwi-adcc"]) == 2
    assert "no bundle has this name" in capsys.readouterr().err
    assert not (tmp_path / "page").exists()

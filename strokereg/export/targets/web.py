"""A static web page around a whole-scan graph: onnxruntime-web computes, NiiVue draws, no data leaves the browser."""

from __future__ import annotations

import shutil
from pathlib import Path

from strokereg.export.metadata import Bundle
from strokereg.export.targets.libraries import LIBRARIES, libraries, notice

PAGE = Path(__file__).with_name("page")


def write(model: Path, bundle: Bundle, folder: Path) -> None:
    """Fill a folder with the page, the libraries, and the model as `model.onnx`.

    Raises:
        InputError: the libraries cannot be fetched.
    """
    for path in sorted(PAGE.iterdir()):
        shutil.copyfile(path, folder / path.name)
    source, lib = libraries(), folder / "lib"
    lib.mkdir()
    for library in LIBRARIES:
        for name in library.files:
            shutil.copyfile(source / name, lib / name)
    (lib / "NOTICE.txt").write_text(notice(), encoding="utf-8")
    shutil.copyfile(model, folder / "model.onnx")

"""The header of ONNX files, read without onnx."""

import onnx
import pytest

from strokereg.export.metadata import KEY
from strokereg.export.runtime.onnx_header import read_header
from strokereg.registry.errors import InputError


def test_it_reads_what_onnx_reads(exported):
    header, model = read_header(exported["onnx"]), onnx.load(exported["onnx"])
    assert header.metadata == {entry.key: entry.value for entry in model.metadata_props}
    assert KEY in header.metadata
    assert header.opset == model.opset_import[0].version == 20


@pytest.mark.parametrize("content", [b"", b"no protobuf", b"\x1f\x8b\x08\x00rest", b"\xff" * 40])
def test_other_files_are_refused(tmp_path, content):
    (tmp_path / "x.onnx").write_bytes(content)
    with pytest.raises(InputError, match=r"x\.onnx: not an ONNX model, or a truncated one"):
        read_header(tmp_path / "x.onnx")


def test_a_truncated_model_is_refused(exported, tmp_path):
    whole = exported["onnx"].read_bytes()
    for share in (0.01, 0.5, 0.99):
        (tmp_path / "cut.onnx").write_bytes(whole[: int(len(whole) * share)])
        with pytest.raises(InputError, match="a truncated one"):
            read_header(tmp_path / "cut.onnx")


def test_a_run_folder_in_place_of_a_model_says_how_to_export_it(unet_run, tmp_path):
    with pytest.raises(InputError, match="is a folder, and an exported model is a file; export it with: strokereg exp"):
        read_header(unet_run)
    with pytest.raises(InputError, match="is a file; give a file"):
        read_header(tmp_path)

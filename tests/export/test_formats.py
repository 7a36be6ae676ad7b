"""Names of formats."""

import pytest

from strokereg.export.formats import check_formats, format_of
from strokereg.registry.errors import InputError


def test_formats_are_taken_once_and_in_order():
    assert check_formats(["torchscript", " ONNX ", "torchscript", ""]) == ("torchscript", "onnx")


def test_a_near_miss_gets_a_hint():
    with pytest.raises(InputError, match=r"--format torchscipt: unknown \(did you mean torchscript\?\)"):
        check_formats(["onnx", "torchscipt"])


def test_no_format_at_all():
    with pytest.raises(InputError, match="names no format"):
        check_formats([""])


def test_format_by_ending():
    assert [format_of("a/b.onnx"), format_of("b.pt")] == ["onnx", "torchscript"]
    with pytest.raises(InputError, match=r"b\.bin: not an exported model"):
        format_of("b.bin")

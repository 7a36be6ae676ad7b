"""Exported files are measured again: against their run, and against the answers that they carry."""

import pytest

from strokereg.export.check import check_export
from strokereg.export.files import read_bundle
from strokereg.registry.errors import InputError, RunFailed


def test_a_file_can_be_measured_again(exported, unet_run):
    for file in exported.values():
        again, written = check_export(file, unet_run).parity, read_bundle(file).parity
        # Another number of threads rounds differently; the last digits are noise of noise.
        # The scan's file was written beside onnxruntime's network, and is measured again beside torch's.
        assert again.largest_difference == pytest.approx(written.largest_difference, abs=5e-6)
        assert again.model_copy(update={"largest_difference": written.largest_difference}) == written


def test_measuring_against_another_run_or_a_broken_file(exported, make_run, unet_run, tmp_path):
    other = make_run("unet", widths=[8, 16, 16])
    with pytest.raises(RunFailed, match="is not the trained network"):
        check_export(exported["onnx"], other)
    broken = tmp_path / "broken.pt"
    broken.write_bytes(b"nothing")
    with pytest.raises(InputError, match=r"broken\.pt: cannot be opened"):
        check_export(broken, unet_run)

"""Outputs replace what strokereg wrote, and nothing else."""

import json
from dataclasses import replace

import numpy as np
import pytest

from strokereg.export.runtime.outputs import Callbacks, Extra, Output, outputs_of, write_images
from strokereg.export.runtime.scans import ScanFiles
from strokereg.export.runtime.segmenter import SegmentSettings, load, segment
from strokereg.registry.errors import InputError


def write(output: Output, value: int, *extra: Extra) -> None:
    output = replace(output, extra=extra)
    output.check([])
    with output.writing({"value": value}) as (images, beside):
        write_images(images, [np.full((2, 2, 2), value, np.uint8)] * len(images), np.eye(4))
        assert tuple(beside) == extra
        for path in beside.values():
            path.write_bytes(bytes([value]))


def contents(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_files_appear_together_and_an_earlier_output_is_replaced(tmp_path):
    output = Output((tmp_path / "a_dwi.nii.gz", tmp_path / "a_adc.nii.gz"))
    write(output, 1, Extra.PICTURE)
    first = contents(tmp_path)
    assert list(first) == ["a_adc.nii.gz", "a_dwi.json", "a_dwi.nii.gz", "a_dwi.png"]
    assert sorted(json.loads(first["a_dwi.json"])["files"]) == ["a_adc.nii.gz", "a_dwi.nii.gz", "a_dwi.png"]
    write(output, 2, Extra.PICTURE)
    assert all(content != first[name] for name, content in contents(tmp_path).items())


def test_what_lies_beside_an_earlier_mask_does_not_stay(tmp_path):
    output = Output((tmp_path / "a_mask.nii.gz",))
    write(output, 1, *Extra)
    assert list(contents(tmp_path)) == ["a_mask.dcm", "a_mask.json", "a_mask.nii.gz", "a_mask.png", "a_probseg.nii.gz"]
    write(output, 2)
    assert list(contents(tmp_path)) == ["a_mask.json", "a_mask.nii.gz"]
    for extra in Extra:
        output.place(extra).write_bytes(b"of someone else")
    write(output, 3)
    assert [output.place(extra).read_bytes() for extra in Extra] == [b"of someone else"] * 3


@pytest.mark.parametrize("name", ["a.nii.gz", "a.json", "a.png"])
def test_a_file_of_someone_else_is_kept(tmp_path, name):
    (tmp_path / name).write_text('{"RepetitionTime": 5.0}')
    before = contents(tmp_path)
    with pytest.raises(InputError, match=rf"{name}: exists and is not an unchanged output of strokereg; choose"):
        write(Output((tmp_path / "a.nii.gz",)), 1, Extra.PICTURE)
    assert contents(tmp_path) == before
    write(Output((tmp_path / "a.nii.gz",), overwrite=True), 1, Extra.PICTURE)
    assert list(contents(tmp_path)) == ["a.json", "a.nii.gz", "a.png"]
    assert contents(tmp_path)[name] != before[name]


def test_a_corrected_mask_is_kept(tmp_path):
    output = Output((tmp_path / "a.nii.gz",))
    write(output, 1)
    output.images[0].write_bytes(b"corrected by hand")
    with pytest.raises(InputError, match=r"a\.nii\.gz: exists and is not an unchanged output"):
        write(output, 2)
    assert output.images[0].read_bytes() == b"corrected by hand"


def test_the_json_of_another_file_with_the_same_stem_gives_no_right_to_replace(tmp_path):
    write(Output((tmp_path / "a.nii.gz",)), 1)
    with pytest.raises(InputError, match=r"a\.json: exists and is not an unchanged output"):
        write(Output((tmp_path / "a.nii",)), 2)


def test_a_file_that_appears_during_the_work_is_kept(tmp_path):
    output = Output((tmp_path / "a.nii.gz",))
    output.check([])

    def work():
        with output.writing({}) as (images, _):
            write_images(images, [np.zeros((2, 2, 2), np.uint8)], np.eye(4))
            output.images[0].write_bytes(b"of someone else")

    with pytest.raises(InputError, match="exists and is not"):
        work()
    assert contents(tmp_path) == {"a.nii.gz": b"of someone else"}


def test_an_input_is_never_replaced(tmp_path):
    scan = tmp_path / "s_desc-lesion_mask.nii.gz"
    scan.write_bytes(b"scan")
    (tmp_path / "link.nii.gz").symlink_to(scan)
    scans = [ScanFiles("s", (scan,))]
    for out in (tmp_path, scan, tmp_path / "link.nii.gz"):
        with pytest.raises(InputError, match="is an input too and would be overwritten"):
            outputs_of(scans, out, ["_desc-lesion_mask.nii.gz"], overwrite=True)


def test_a_link_to_nowhere_is_a_file_of_someone_else(tmp_path):
    (tmp_path / "a.nii.gz").symlink_to(tmp_path / "unplugged" / "mask.nii.gz")
    with pytest.raises(InputError, match="exists and is not"):
        Output((tmp_path / "a.nii.gz",)).check([])


def test_python_keeps_a_second_scan_and_replaces_its_own_mask(exported, phantom, tmp_path):
    scans = [phantom / f"sub-0{i}" / "dwi" / f"sub-0{i}_dwi.nii.gz" for i in (1, 2)]
    other = tmp_path / "sub-02_dwi.nii.gz"
    other.write_bytes(scans[1].read_bytes())
    with pytest.raises(InputError, match="exists and is not"):
        segment(exported["onnx"], scans[:1], other)
    model = load(exported["onnx"])
    with pytest.raises(InputError, match="exists and is not"):
        model.segment(scans[0], out=other)
    assert other.read_bytes() == scans[1].read_bytes()
    done = []
    for scan in scans:  # the same name twice: an earlier output is replaced
        model.segment(scan, out=tmp_path / "mask.nii.gz")
        segment(exported["onnx"], [scan], tmp_path / "mask.nii.gz", callbacks=Callbacks(on_done=done.append))
    assert done[0]["volume_ml"] != done[1]["volume_ml"]
    segment(exported["onnx"], scans[:1], other, SegmentSettings(overwrite=True))
    assert load(exported["onnx"]).segment(scans[0]).mask.shape == (30, 34, 22)
    assert other.read_bytes() != scans[1].read_bytes()

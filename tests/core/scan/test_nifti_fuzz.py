"""Damaged files of every kind: reading them gives a volume or one sentence, never a traceback, never a hang."""

from __future__ import annotations

import gzip
from datetime import timedelta

import nibabel as nib
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from strokereg.core.cohort.case import CaseFiles
from strokereg.core.cohort.checks.inspect import inspect_case
from strokereg.core.scan.nifti import read_volume
from strokereg.registry.errors import InputError

# The deadline tells a hang from a busy machine; a file of 7 kB is read in milliseconds.
BOUNDED = settings(
    max_examples=100, deadline=timedelta(seconds=30), derandomize=True, suppress_health_check=list(HealthCheck)
)
HEADER = nib.Nifti1Header().template_dtype


@pytest.fixture(scope="module")
def plain(real_data) -> bytes:
    """The middle of the real DWI as an uncompressed file of 7 kB."""
    path = next((real_data / "isles22").rglob("*_dwi.nii.gz"))
    small = nib.load(path).slicer[50:62, 50:62, 36:48]
    return nib.Nifti1Image(np.asarray(small.dataobj, np.float32), small.affine).to_bytes()


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("fuzz")


def look(path) -> None:
    """Read it as a training would, and as the checks do."""
    try:
        volume = read_volume(path)
    except InputError as error:
        volume, told = None, str(error)
    if volume is None:
        assert str(path) in told
        assert "\n" not in told
    else:
        assert volume.data.ndim == 3
        assert np.isfinite(volume.data).all()
    inspect_case(CaseFiles("sub-01", "sub-01", {"dwi": path, "adc": path}, path, path))


@BOUNDED
@given(where=st.integers(0, 351), what=st.binary(min_size=1, max_size=8), packed=st.booleans())
def test_bytes_of_the_header(plain, home, where, what, packed):
    raw = bytearray(plain)
    raw[where : where + len(what)] = what
    path = home / ("scan.nii.gz" if packed else "scan.nii")
    path.write_bytes(gzip.compress(bytes(raw), 1) if packed else bytes(raw))
    look(path)


@BOUNDED
@given(
    field=st.sampled_from([name for name in HEADER.names if name not in ("sizeof_hdr", "magic")]),
    value=st.one_of(st.integers(-(2**31), 2**31 - 1), st.floats(width=32), st.sampled_from([0, -1, 32767, 1e38])),
    data=st.data(),
)
def test_values_of_the_header(plain, home, field, value, data):
    raw = bytearray(plain)
    header = np.frombuffer(raw, dtype=HEADER, count=1)
    flat = header[field].reshape(-1)
    if flat.dtype.kind == "S":
        return
    with np.errstate(all="ignore"):
        number = np.array(value).astype(flat.dtype, casting="unsafe")
    flat[data.draw(st.integers(0, flat.size - 1))] = number
    path = home / "value.nii"
    path.write_bytes(bytes(raw))
    look(path)


@BOUNDED
@given(keep=st.floats(0, 1), flip=st.one_of(st.none(), st.tuples(st.floats(0, 1), st.integers(1, 255))))
def test_gzip_cut_short_or_with_a_wrong_byte(plain, home, keep, flip):
    packed = bytearray(gzip.compress(plain, 1))
    if flip is not None:
        packed[min(int(flip[0] * len(packed)), len(packed) - 1)] ^= flip[1]
    path = home / "cut.nii.gz"
    path.write_bytes(bytes(packed[: int(keep * len(packed))] if flip is None else packed))
    look(path)


def test_a_header_that_claims_terabytes_asks_for_no_memory(plain, home):
    raw = bytearray(plain)
    np.frombuffer(raw, dtype=HEADER, count=1)["dim"][0, :4] = (3, 32767, 32767, 32767)
    for name, content in (("huge.nii", bytes(raw)), ("huge.nii.gz", gzip.compress(bytes(raw)))):
        (home / name).write_bytes(content)
        with pytest.raises(InputError, match=r"its header claims .* more than it can hold"):
            read_volume(home / name)

"""Images keep their bytes."""

from __future__ import annotations

import gzip

from strokereg.core.cohort.exporting.files import place_image


def test_bytes_are_kept_and_what_is_not_compressed_is(tmp_path):
    source, plain = tmp_path / "a.nii.gz", tmp_path / "b.nii"
    plain.write_bytes(b"voxels" * 100)
    source.write_bytes(gzip.compress(b"other voxels" * 100))
    for link in (False, True):
        targets = [tmp_path / f"{name}{link}.nii.gz" for name in "ab"]
        place_image(source, targets[0], link)
        place_image(plain, targets[1], link)
        assert targets[0].read_bytes() == source.read_bytes()
        assert (targets[0].stat().st_ino == source.stat().st_ino) is link
        assert gzip.decompress(targets[1].read_bytes()) == plain.read_bytes()
    assert (tmp_path / "bTrue.nii.gz").read_bytes() == (tmp_path / "bFalse.nii.gz").read_bytes()

"""A little cohort cut from the real case: eight slices through ventricles and lesion, with a tissue label map."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from strokereg.core.cohort.labels import TISSUES


@dataclass
class Real:
    """Stored voxels and affine of the cut, and where a test's own copy lies."""

    volumes: dict[str, np.ndarray]
    affine: np.ndarray
    root: Path

    def path(self, part: str, subject: str = "sub-01") -> Path:
        images = part in ("dwi", "adc")
        top = self.root if images else self.root / "derivatives" / "truth"
        suffix = {"mask": "desc-lesion_mask"}.get(part, part)
        return top / subject / "dwi" / f"{subject}_{suffix}.nii.gz"

    def save(self, part: str, data=None, affine=None, subject: str = "sub-01") -> Path:
        """Write a part, changed or as it is."""
        path = self.path(part, subject)
        path.parent.mkdir(parents=True, exist_ok=True)
        data = self.volumes[part] if data is None else data
        image = nib.Nifti1Image(data, self.affine if affine is None else affine)
        image.header.set_xyzt_units("mm")
        nib.save(image, path)
        return path

    def save_case(self, subject: str = "sub-01", shade: float = 1.0) -> None:
        for part, data in self.volumes.items():
            self.save(part, (data * shade).astype(np.float32) if part == "dwi" else data, subject=subject)


@pytest.fixture(scope="session")
def cut(real_data) -> tuple[dict[str, np.ndarray], np.ndarray]:
    case = "sub-strokecase0009/ses-0001/sub-strokecase0009_ses-0001"
    box = (slice(20, 92), slice(8, 104), slice(36, 44))
    files = {"dwi": f"rawdata/{case}_dwi", "adc": f"rawdata/{case}_adc", "mask": f"derivatives/{case}_msk"}
    images = {part: nib.load(real_data / "isles22" / f"{name}.nii.gz") for part, name in files.items()}
    volumes = {part: np.asarray(image.dataobj[box], dtype=np.float32) for part, image in images.items()}
    volumes["mask"] = volumes["mask"].astype(np.uint8)
    brain = volumes["dwi"] > 40
    volumes["dseg"] = np.where(volumes["mask"] > 0, 6, np.where(volumes["adc"] > 1.8, 1, 5) * brain).astype(np.uint8)
    return volumes, images["dwi"].slicer[box].affine


@pytest.fixture
def real(cut, tmp_path) -> Real:
    """One whole case on disk, for a test to break."""
    made = Real(*cut, tmp_path / "cohort")
    made.save_case()
    (made.root / "dataset_description.json").write_text(json.dumps({"Name": "real", "BIDSVersion": "1.10.0"}))
    TISSUES.write(made.root / "derivatives" / "truth" / "dseg.tsv")
    return made

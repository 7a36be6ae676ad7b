"""Runs are exported with cases of their cohort."""

import pytest
import torch

from strokereg.core.train.record import Record
from strokereg.export.files import read_bundle
from strokereg.export.run import export
from strokereg.registry.errors import InputError


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "dims", "kind", "options"),
    [
        ("dynunet", 3, "torchscript", {"filters": 4, "residual": True}),
        ("timm-unet", 2, "torchscript", {"filters": 4, "encoder": "test_convnext"}),
        ("spade", 2, "pt2", {"ngf": 4, "ndf": 4, "hidden": 8, "levels": 2}),
        ("mask-gan", 2, "torchscript", {"volume": True}),
        ("mask-gan", 3, "pt2", {}),
    ],
)
def test_every_role_exports_with_cases_of_its_cohort(make_run, tmp_path, name, dims, kind, options):
    """Conformance exports every architecture to every format, without a cohort."""
    torch.manual_seed(0)
    (file,) = export(make_run(name, dims=dims, **options), formats=(kind,), out=tmp_path)
    bundle = read_bundle(file)
    assert bundle.dims == dims
    assert bundle.parity.largest_difference <= 1e-4
    assert bundle.parity.cases == (0 if name == "mask-gan" else 2)
    assert (bundle.postprocessing is None) == (bundle.role != "segmenter")
    assert set(bundle.training.images) == ({"dwi"} if bundle.role == "segmenter" else set())


def test_a_cohort_that_moved_is_asked_for(unet_run, tmp_path):
    record = Record.read(unet_run)
    for item in unet_run.iterdir():
        (tmp_path / item.name).write_bytes(item.read_bytes())
    record.model_copy(update={"cohort": {**record.cohort, "path": "/nowhere/cohort"}}).write(tmp_path)
    with pytest.raises(InputError, match=r"cohort is not where it was \(/nowhere/cohort\); give one with --data DIR"):
        export(tmp_path)
    assert not (tmp_path / "export").exists()

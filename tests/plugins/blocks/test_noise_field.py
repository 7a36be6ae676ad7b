"""The noise field is white, normal, and the same in every runtime."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from strokereg.plugins.blocks.noise_field import white


@pytest.fixture(scope="module")
def field() -> torch.Tensor:
    """A million voxels: 8 rows, 2 channels."""
    return white(torch.randn(8, 16, generator=torch.Generator().manual_seed(0)), (256, 256), channels=2)


def correlation(a: torch.Tensor, b: torch.Tensor) -> float:
    return float(np.corrcoef(a.flatten().numpy(), b.flatten().numpy())[0, 1])


def test_it_is_standard_normal(field):
    # Five standard errors of a million draws: of mean 1e-3, sd 7e-4, third moment 4e-3, fourth 1e-2.
    assert field.dtype == torch.float32
    assert field.shape == (8, 2, 256, 256)
    assert float(field.mean()) == pytest.approx(0.0, abs=5e-3)
    assert float(field.std()) == pytest.approx(1.0, abs=3.5e-3)
    assert float((field**3).mean()) == pytest.approx(0.0, abs=2e-2)
    assert float((field**4).mean()) == pytest.approx(3.0, abs=5e-2)


@pytest.mark.parametrize("shift", [(0, 1), (1, 0), (1, 1), (0, 2), (2, 0), (1, -1), (16, 0), (0, 64)])
def test_neighbours_are_independent(field, shift):
    moved = field.roll(shift, (-2, -1))
    assert abs(correlation(field, moved)) < 5e-3
    assert abs(correlation(field.abs(), moved.abs())) < 5e-3


def test_its_spectrum_is_flat(field):
    power = torch.fft.rfft2(field).abs().square().mean((0, 1)) / 256**2
    # 16 spectra averaged: each bin is chi-square with 32 degrees, of sd 1 / 4.
    assert float(power[1:-1, 1:-1].mean()) == pytest.approx(1.0, abs=0.01)
    assert float(power[1:-1, 1:-1].std()) == pytest.approx(0.25, abs=0.01)
    assert float(power.max()) < 4.0


def test_rows_channels_and_salts_are_independent(field):
    z = torch.randn(8, 16, generator=torch.Generator().manual_seed(0))
    assert abs(correlation(field[:, 0], field[:, 1])) < 7e-3
    assert abs(correlation(field[0], field[1])) < 1.4e-2
    assert abs(correlation(field, white(z, (256, 256), 2, salt=1))) < 5e-3
    nearly = z.clone()
    nearly[:, 3] += 1e-4
    assert abs(correlation(field, white(nearly, (256, 256), 2))) < 5e-3
    assert abs(correlation(field, white(z.flip(1), (256, 256), 2))) < 5e-3


def test_a_row_and_a_place_decide_alone(field):
    z = torch.randn(8, 16, generator=torch.Generator().manual_seed(0))
    assert torch.equal(white(z[3:4], (40, 24), 1), field[3:4, :1, :40, :24])
    assert white(z, (4, 5, 6)).shape == (8, 1, 4, 5, 6)


class Field(nn.Module):
    """What a network does with it: the size comes from another input."""

    def forward(self, labels, z):
        return white(z, labels.shape[1:], channels=2, salt=3)


@pytest.mark.parametrize("dims", [2, 3])
def test_every_runtime_draws_the_same(dims, tmp_path):
    import onnxruntime

    z = torch.randn(3, 16, generator=torch.Generator().manual_seed(1))
    small, large = torch.zeros(2, *(6, 8, 10)[:dims]).long(), torch.zeros(3, *(12, 9, 7)[:dims]).long()
    with torch.no_grad():
        expected = white(z, large.shape[1:], channels=2, salt=3)
        traced = torch.jit.trace(Field().eval(), (small, z[:2]))
        assert torch.equal(traced(large, z), expected)
    shapes = (dict.fromkeys(range(dims + 1), torch.export.Dim.DYNAMIC), {0: torch.export.Dim.DYNAMIC})
    path = tmp_path / "field.onnx"
    program = torch.onnx.export(Field().eval(), (small, z[:2]), dynamo=True, dynamic_shapes=shapes, verbose=False)
    program.save(path)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [entry.name for entry in session.get_inputs()]
    got = session.run(None, dict(zip(names, (large.numpy(), z.numpy()), strict=True)))[0]
    np.testing.assert_allclose(got, expected.numpy(), atol=2e-6)

"""What is special about `dynunet`: its plan, its coarse outputs, and MONAI's blocks rewired."""

from __future__ import annotations

import pytest
import torch
from monai.networks.nets import DynUNet as Original
from monai.networks.nets.dynunet import DynUNetSkipLayer

from strokereg.core.roles import Batch
from strokereg.plugins.segmenters.dynunet import DynUNet, plan
from strokereg.registry.errors import InputError
from strokereg.registry.problem import Problem


def network(size=(64, 48), **options):
    torch.manual_seed(0)
    return DynUNet(Problem(dims=len(size), size=size), DynUNet.Options(filters=4, **options))


def batch(size):
    mask = (torch.rand(2, 1, *size) > 0.9).float()
    return Batch(mask[:, 0].long(), torch.randn(2, 1, *size), mask)


@pytest.mark.parametrize(
    ("size", "halved"),
    [
        ((64, 64), (4, 4)),
        ((80, 64), (4, 4)),
        ((48, 96), (3, 4)),
        ((16, 48, 48), (2, 3, 3)),
        ((128, 128, 96), (5, 5, 4)),
    ],
)
def test_each_axis_is_halved_while_four_voxels_remain(size, halved):
    strides = plan(size, most=6)
    assert strides[0] == (1,) * len(size)
    assert tuple(sum(step[axis] == 2 for step in strides) for axis in range(len(size))) == halved
    assert len(plan(size, most=2)) == 3


@pytest.mark.parametrize("size", [(16, 48, 32), (80, 48)])
@pytest.mark.parametrize("residual", [False, True])
def test_it_is_monais_network(size, residual):
    """The same weights in MONAI's own wiring give the same logits."""
    ours, strides = network(size, residual=residual).eval(), plan(size, 6)
    filters = [min(4 * 2**level, 512) for level in range(len(strides))]
    theirs = Original(
        len(size), 1, 1, [3] * len(strides), strides, strides[1:], filters=filters, res_block=residual
    ).eval()  # fmt: skip
    theirs.input_block, theirs.bottleneck = ours.down[0], ours.down[-1]
    skip = theirs.skip_layers
    for down, up in zip(ours.down[:-1], reversed(ours.up), strict=True):
        skip.downsample, skip.upsample = down, up
        if not isinstance(skip.next_layer, DynUNetSkipLayer):
            skip.next_layer = ours.down[-1]
        skip = skip.next_layer
    theirs.output_block = ours.head
    image = torch.randn(2, 1, *size)
    with torch.no_grad():
        assert torch.equal(ours(image), theirs(image))


def test_all_outputs_but_the_coarsest_have_a_loss_in_training_only():
    model, plain = network(), network(supervision=False)
    assert (len(model.up), len(model.coarse), len(plain.coarse)) == (4, 2, 0)
    torch.manual_seed(1)
    shown = batch((64, 48))
    loss = sum(next(model.moves(shown))[1].values())
    loss.backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.coarse.parameters())
    assert torch.equal(model.train()(shown.image), model.eval()(shown.image))
    assert not torch.isclose(loss, sum(next(plain.moves(shown))[1].values()))


def test_each_scale_has_its_own_multiple():
    model = network((48, 64))
    assert model.multiple == 16
    with torch.no_grad():
        assert model.eval()(torch.zeros(1, 1, 32, 80)).shape == (1, 1, 32, 80)


def test_a_size_that_cannot_be_halved_is_one_sentence():
    with pytest.raises(
        InputError, match=r"dynunet: the size \(9, 15\) cannot be halved twice; use edges of 16 or more"
    ):
        network((9, 15))


def test_weights_are_each_stored_once(tmp_path):
    from safetensors.torch import save_file

    save_file(network().state_dict(), tmp_path / "weights.safetensors")  # refuses tensors that share memory

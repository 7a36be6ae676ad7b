"""`flow`: its line, its steps and its noise."""

from __future__ import annotations

import pytest
import torch

from strokereg.plugins.blocks.noise_field import white
from strokereg.plugins.translators.flow import Flow
from strokereg.registry.problem import Problem


def network(**options) -> Flow:
    torch.manual_seed(0)
    return Flow(Problem(labels=5, size=(16, 16)), Flow.Options(ngf=4, **options))


def test_before_training_the_velocity_is_nothing_and_the_image_its_noise(brains):
    model, z = network().eval(), torch.randn(2, 16)
    with torch.no_grad():
        image = model(brains().labels, z)
    assert torch.allclose(image, white(z, (16, 16)).clamp(-1, 1), atol=0.2)


@pytest.mark.parametrize("steps", [1, 4, 8])
def test_on_a_straight_line_any_number_of_steps_arrives(steps, brains):
    model, batch, z = network(sampling_steps=steps).eval(), brains(), torch.randn(2, 16)
    asked = []

    def straight(x, maps, t):
        asked.append(float(t))
        return batch.image - white(z, (16, 16))

    model.velocity.forward = straight
    assert torch.allclose(model(batch.labels, z), batch.image, atol=1e-5)
    assert asked == [step / steps for step in range(steps)]


def test_the_loss_is_the_distance_from_the_velocity(brains):
    """A network that knows image - noise pays nothing: (image - x_t) / (1 - t) is exactly that."""
    model, batch = network(), brains()

    def knowing(x, maps, t):
        return (batch.image - x) / (1.0 - t).reshape(-1, 1, 1, 1)

    model.velocity.forward = knowing
    ((player, losses),) = model.moves(batch)
    assert player == "flow"
    assert float(losses["velocity"]) == pytest.approx(0.0, abs=1e-6)


def test_times_have_different_embeddings():
    clock = network().velocity.clock
    told = clock(torch.tensor([0.0, 0.125, 0.25, 0.5, 0.75]))
    assert (torch.cdist(told, told) + torch.eye(5)).min() > 0

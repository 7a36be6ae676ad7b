"""The one trainer: it plays moves, whoever yields them."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from strokereg.core.roles import Batch, Player
from strokereg.core.train.tracking import series
from strokereg.core.train.trainer import Trainer, TrainerSettings, _rate
from strokereg.registry.errors import RunFailed, StrokeregError


class Line(nn.Module):
    """Two weights, two players; `bad` says at which step a loss becomes NaN."""

    def __init__(self, bad: int | None = None, mover: str = "first", average: bool = True):
        super().__init__()
        self.first, self.second = nn.Parameter(torch.zeros(())), nn.Parameter(torch.zeros(()))
        self.bad, self.mover, self.average, self.seen = bad, mover, average, 0

    def players(self):
        return {
            "first": Player([self.first], lr=0.1, average=self.average),
            "second": Player([self.second], lr=0.1, clip=1e-3, average=False),
        }

    def moves(self, batch):
        self.seen += 1
        pull = torch.nan if self.bad == self.seen else 1.0
        yield self.mover, {"square": (self.first - 3.0).square() * pull}
        yield "second", {"square": (self.second - 3.0).square() + 0.0 * self.first, "shift": self.first.detach() * 0}


def draw(step, device, progress):
    return Batch(torch.zeros(1), torch.zeros(1), torch.zeros(1), progress)


def trainer(model, folder, **settings):
    return Trainer(model, "line", draw, TrainerSettings(steps=40, checkpoint_every=10, **settings), folder)


def test_both_players_move_and_their_losses_are_logged(tmp_path):
    model = trainer(Line(), tmp_path, average=0.0).fit()
    assert not model.training
    assert float(model.first.detach()) == pytest.approx(3.0, abs=0.7)
    curves = series(tmp_path / "history.csv")
    assert list(curves) == ["first/square", "second/square", "second/shift"]
    assert [step for step, _ in curves["first/square"]] == list(range(1, 41))
    assert curves["first/square"][-1][1] < 0.2 * curves["first/square"][0][1]


def test_the_average_is_delivered_where_it_is_asked_for(tmp_path):
    averaged, last = tmp_path / "a", tmp_path / "b"
    averaged.mkdir()
    last.mkdir()
    followed = trainer(Line(), averaged, average=0.9).fit()
    newest = trainer(Line(), last, average=0.0).fit()
    assert followed.first < newest.first
    assert followed.second == newest.second


def test_gradients_are_clipped(tmp_path, monkeypatch):
    norms = []
    clip = nn.utils.clip_grad_norm_

    def watch(parameters, most):
        clip(parameters, most)
        norms.append(float(parameters[0].grad.abs()))

    monkeypatch.setattr(nn.utils, "clip_grad_norm_", watch)
    trainer(Line(), tmp_path).fit()
    assert len(norms) == 40  # the second player alone
    assert max(norms) <= 1e-3


def test_nan_stops_with_a_sentence_and_keeps_the_last_checkpoint(tmp_path):
    with pytest.raises(RunFailed) as failure:
        trainer(Line(bad=25), tmp_path).fit()
    said = str(failure.value)
    assert all(word in said for word in ("line", "'square'", "'first'", "nan", "step 24"))
    again = trainer(Line(), tmp_path)
    again.fit()
    assert again.model.seen == 20  # it went on from step 20 of 40


def test_an_unknown_player_is_named(tmp_path):
    with pytest.raises(StrokeregError, match=r"'third'.*first, second"):
        trainer(Line(mover="third"), tmp_path).fit()


def test_an_untrained_method_is_left_as_it_is(tmp_path):
    class Untrained(nn.Identity):
        def players(self):
            return {}

    assert isinstance(trainer(Untrained(), tmp_path).fit(), Untrained)
    assert list(tmp_path.iterdir()) == []


def test_an_untrained_method_looks_at_as_many_batches_as_it_wants(tmp_path):
    class Mean(nn.Module):
        looks = 3

        def __init__(self):
            super().__init__()
            self.register_buffer("total", torch.zeros(()))

        def players(self):
            return {}

        def moves(self, batch):
            self.total += batch.image.numel()
            return iter(())

    seen = []
    played = trainer(Mean(), tmp_path)
    played.on_step = lambda step, losses: seen.append((step, losses))
    model = played.fit()
    assert seen == [(1, {}), (2, {}), (3, {})]
    assert float(model.total) > 0


@pytest.mark.parametrize(
    ("schedule", "values"),
    [("constant", (1, 1, 1)), ("linear", (1, 1, 0.02)), ("onecycle", (0.04, 0.8118, 0.0006))],
)
def test_schedules(schedule, values):
    assert [_rate(schedule, p) for p in (0.0, 0.5, 0.99)] == pytest.approx(values, abs=1e-3)

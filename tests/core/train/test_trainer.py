"""The one trainer: it plays moves, whoever yields them."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from strokereg.core.roles import Batch, Player
from strokereg.core.train import device as device_module
from strokereg.core.train import trainer as trainer_module
from strokereg.core.train.checkpoint import BackgroundWriter, load_tree
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
    return Trainer(model, "line", draw, TrainerSettings(steps=40, checkpoint_seconds=0, **settings), folder)


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
    assert again.model.seen == 16  # it went on from step 24 of 40


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


class Adrift(Line):
    """Says at which step each reading came, and never looks at a loss itself."""

    def fit_with(self, read_every, folder, **settings):
        folder.mkdir()
        seen = []
        playing = Trainer(self, "line", draw, TrainerSettings(steps=40, **settings), folder)
        playing.read_every, playing.on_step = read_every, lambda step, losses: seen.append((step, self.seen, losses))
        return playing, seen


def test_losses_are_read_every_few_steps_and_are_the_same(tmp_path):
    (often, every), (rarely, late) = Adrift().fit_with(1, tmp_path / "a"), Adrift().fit_with(16, tmp_path / "b")
    models = often.fit(), rarely.fit()
    assert all(torch.equal(a, b) for a, b in zip(*(model.parameters() for model in models), strict=True))
    assert [(step, losses) for step, _, losses in every] == [(step, losses) for step, _, losses in late]
    assert [when for _, when, _ in late] == [16] * 16 + [32] * 16 + [40] * 8
    assert (tmp_path / "a" / "history.csv").read_bytes() == (tmp_path / "b" / "history.csv").read_bytes()


def test_between_readings_no_value_is_read(tmp_path):
    class Reads(TorchDispatchMode):
        count = 0

        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            own = func in (torch.ops.aten._local_scalar_dense.default, torch.ops.aten.nonzero.default)
            # Adam counts its steps on the CPU, or on the GPU if it is fused.
            states = (state for optimiser in playing.optimisers.values() for state in optimiser.state.values())
            self.count += own and not any(args[0] is state["step"] for state in states)
            return func(*args, **(kwargs or {}))

    playing, _ = Adrift().fit_with(40, tmp_path / "a")
    after = []
    playing._read, read = lambda: (after.append(reads.count), read()), playing._read
    with Reads() as reads:
        playing.fit()
    assert after == [0]


def test_a_loss_that_breaks_between_readings_is_reported_with_its_step(tmp_path):
    playing, seen = Adrift(bad=25).fit_with(10, tmp_path / "a", checkpoint_seconds=0)
    with pytest.raises(RunFailed, match=r"'square' of 'first' became nan at step 24; the last good checkpoint"):
        playing.fit()
    assert [step for step, _, _ in seen] == list(range(1, 25))
    again = Adrift()
    Trainer(again, "line", draw, TrainerSettings(steps=40), tmp_path / "a").fit()
    assert again.seen == 20  # from the reading at step 20


def test_a_checkpoint_is_written_when_it_is_time(tmp_path, monkeypatch):
    now, saved = [0.0], []
    monkeypatch.setattr(trainer_module.time, "monotonic", lambda: now[0])
    playing, _ = Adrift().fit_with(1, tmp_path / "a", checkpoint_seconds=15)
    playing.on_step = lambda step, losses: now.__setitem__(0, now[0] + 2.0)
    monkeypatch.setattr(BackgroundWriter, "save", lambda self, path, tree: saved.append(tree["step"]))
    playing.fit()
    assert saved == [8, 16, 24, 32, 40]


def stopped(folder, **settings):
    """A folder with the checkpoint of a training that was stopped after 20 of 40 steps."""

    def stop(step, losses):
        if step == 21:
            raise KeyboardInterrupt

    folder.mkdir()
    playing = trainer(Line(), folder, **settings)
    playing.on_step = stop
    with pytest.raises(KeyboardInterrupt):
        playing.fit()
    return folder


@pytest.mark.filterwarnings("ignore:.*copying from a non-meta parameter")
def test_a_resumed_training_keeps_its_tensors_where_they_are(tmp_path, monkeypatch):
    """Step counters stay on the CPU, or Adam would read each of them back from the GPU in every step."""
    folder = stopped(tmp_path / "a", precision="fp32")
    monkeypatch.setattr(trainer_module, "choose_device", lambda name: torch.device("meta"))  # as a GPU would be
    resumed = trainer(Line(), folder, precision="fp32")
    averages = list(resumed.averages["first"])
    resumed._restore(load_tree(resumed.checkpoint))
    assert resumed.step == 20
    for optimiser in resumed.optimisers.values():
        [state] = optimiser.state.values()
        assert state["step"].device.type == "cpu"
        assert state["exp_avg"].device.type == "meta"
    assert all(new is old for new, old in zip(resumed.averages["first"], averages, strict=True))
    assert {one.device.type for one in averages} == {"meta"}


def test_a_checkpoint_of_another_precision_is_resumed_in_fp16(tmp_path, monkeypatch):
    folder = stopped(tmp_path / "a", precision="fp32")
    monkeypatch.setattr(trainer_module, "choose_precision", lambda name, device: "fp16")  # a CPU can run it
    resumed = trainer(Line(), folder, precision="fp16")
    model = resumed.fit()
    assert model.seen == 20
    assert float(model.first.detach()) == pytest.approx(3.0, abs=0.7)


def test_deterministic_algorithms_are_for_the_training_alone(tmp_path):
    class Asks(Line):
        def moves(self, batch):
            assert torch.are_deterministic_algorithms_enabled()
            yield from super().moves(batch)

    trainer(Asks(), tmp_path, deterministic=True).fit()
    assert not torch.are_deterministic_algorithms_enabled()


def test_an_operation_without_a_deterministic_algorithm_is_one_sentence(tmp_path):
    class Scatters(Line):
        def moves(self, batch):
            torch.zeros(2).put_(torch.tensor([0]), torch.ones(1))
            yield from super().moves(batch)

    with pytest.raises(RunFailed, match=r"--deterministic: line uses put_, .* train without --deterministic"):
        trainer(Scatters(), tmp_path, deterministic=True).fit()


@pytest.fixture
def tf32_as_before():
    kinds = torch.backends.cuda.matmul, torch.backends.cudnn
    before = [kind.allow_tf32 for kind in kinds]
    torch.backends.cudnn.allow_tf32 = True  # torch's own default
    yield
    for kind, allowed in zip(kinds, before, strict=True):
        kind.allow_tf32 = allowed


@pytest.mark.parametrize("precision", ["fp32", "tf32"])
def test_fp32_is_exact_and_tf32_is_a_precision_of_its_own(tmp_path, monkeypatch, tf32_as_before, precision):
    monkeypatch.setattr(trainer_module, "choose_precision", lambda name, device: name)
    monkeypatch.setattr(device_module, "_named", lambda name: torch.device("cuda"))
    monkeypatch.setattr(Line, "to", lambda self, device: self)
    trainer(Line(), tmp_path, precision=precision)
    allowed = precision == "tf32"
    assert torch.backends.cuda.matmul.allow_tf32 is allowed
    assert torch.backends.cudnn.allow_tf32 is allowed


@pytest.mark.parametrize(
    ("schedule", "values"),
    [("constant", (1, 1, 1)), ("linear", (1, 1, 0.02)), ("onecycle", (0.04, 0.8118, 0.0006))],
)
def test_schedules(schedule, values):
    assert [_rate(schedule, p) for p in (0.0, 0.5, 0.99)] == pytest.approx(values, abs=1e-3)


class Scores:
    """Stands for a validator: gives these scores in turn, and notes which weights it saw."""

    samples = 1

    def __init__(self, *scores):
        self.left, self.seen = list(scores), []

    def __call__(self, model):
        assert not model.training
        self.seen.append(model.first.detach().clone())
        return self.left.pop(0)


def validated(folder, validator, **settings):
    how = TrainerSettings(steps=40, checkpoint_seconds=0, evaluations=4, batch_size=64, **settings)
    return Trainer(Line(), "line", draw, how, folder, validator=validator)


def test_the_best_averaged_weights_are_delivered_and_of_equals_the_earlier(tmp_path):
    scores = Scores(0.25, 0.75, 0.75, 0.5)
    trained = validated(tmp_path, scores)
    model = trained.fit()
    assert (trained.best.step, trained.best.dice) == (20, 0.75)
    assert torch.equal(model.first.detach(), scores.seen[1])
    assert series(tmp_path / "history.csv")["validation/dice"] == [(10, 0.25), (20, 0.75), (30, 0.75), (40, 0.5)]


def test_validation_does_not_change_the_training(tmp_path):
    for name in ("with", "without"):
        (tmp_path / name).mkdir()
    watched = validated(tmp_path / "with", Scores(0.1, 0.2, 0.3, 0.4)).fit()
    alone = validated(tmp_path / "without", None).fit()
    assert torch.equal(watched.first, alone.first)
    assert torch.equal(watched.second, alone.second)


@pytest.mark.parametrize(("patience", "last"), [(0, 40), (1, 20), (2, 30)])
def test_patience_ends_a_training_that_no_longer_gains(tmp_path, patience, last):
    trained = validated(tmp_path, Scores(0.5, 0.25, 0.25, 0.25), patience=patience)
    trained.fit()
    assert (trained.step, trained.best.step) == (last, 10)
    again = validated(tmp_path, Scores(), patience=patience)  # from the last checkpoint: nothing is left to do
    again.fit()
    assert (again.step, again.best.step) == (last, 10)


@pytest.mark.parametrize("stop", [9, 10, 25])
def test_an_interrupted_validated_training_gives_the_same(tmp_path, stop):
    whole, part = tmp_path / "whole", tmp_path / "part"
    whole.mkdir()
    part.mkdir()
    expected = validated(whole, Scores(0.5, 0.75, 0.25, 0.25)).fit()

    def interrupt(step, losses):
        if step == stop and "validation/dice" not in losses:
            raise KeyboardInterrupt

    first = validated(part, Scores(0.5, 0.75, 0.25, 0.25))
    first.on_step = interrupt
    with pytest.raises(KeyboardInterrupt):
        first.fit()
    left = (0.5, 0.75, 0.25, 0.25)[(stop - 1) // 10 :]
    resumed = validated(part, Scores(*left)).fit()
    assert torch.equal(resumed.first, expected.first)
    assert series(part / "history.csv") == series(whole / "history.csv")


@pytest.mark.parametrize(
    ("samples", "interval"),
    [(1, 50), (100, 50), (1000, 250), (1e9, 1000)],  # 20 times; as often as 15 % of the time allow; once at the end
)
def test_evaluations_are_spread_evenly_and_limited_by_their_cost(samples, interval):
    assert TrainerSettings(steps=1000, batch_size=8).evaluation_interval(samples) == interval

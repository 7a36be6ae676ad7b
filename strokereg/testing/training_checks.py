"""Checks of players, moves and training."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch
from safetensors.torch import load, save
from torch import Tensor, nn

from strokereg.core.roles import Batch, Player, delivered_weights
from strokereg.core.train.device import seed_everything
from strokereg.core.train.trainer import Trainer
from strokereg.registry.specs import Role
from strokereg.testing.check import Broken, Unfit, describe, require, rule
from strokereg.testing.forward_checks import same
from strokereg.testing.learning import SHARE, learn, trained
from strokereg.testing.subject import Subject, temporary_folder


@rule(
    "every trainable parameter belongs to exactly one player",
    "give each player the parameters of its own networks, and set requires_grad=False on those that are not trained",
)
def one_player_a_parameter(subject: Subject) -> None:
    model = subject.build()
    players: dict[str, Player] = model.players()  # type: ignore[operator]
    names = {id(p): name for name, p in model.named_parameters()}
    owners: dict[int, list[str]] = {}
    for name, player in players.items():
        require(isinstance(player, Player), f"the player {name!r} is a {type(player).__name__}")
        for parameter in player.parameters:
            require(id(parameter) in names, f"the player {name!r} has a parameter that is not part of the network")
            owners.setdefault(id(parameter), []).append(name)
    for parameter in (p for p in model.parameters() if p.requires_grad):
        owned = owners.get(id(parameter), [])
        require(len(owned) == 1, f"{names[id(parameter)]} belongs to {' and '.join(owned) or 'no player'}")


@rule(
    "moves(batch) runs to its end, yields only names in players(), and yields each of them at least once",
    "yield (player, {loss name: tensor}) at least once for each player, under its name in players()",
)
def moves_name_players(subject: Subject) -> None:
    model = subject.build()
    known = model.players()  # type: ignore[operator]
    moved = []
    for name, losses in _moves(subject, model):
        require(name in known, f"moves() yields {name!r}, but players() has {', '.join(known) or 'no player'}")
        require(isinstance(losses, dict) and losses, f"the move of {name!r} has no named losses")
        moved.append(name)
    idle = [name for name in known if name not in moved]
    require(not idle, f"moves() never yields {' and '.join(idle)}")


@rule(
    "every loss is one finite number",
    "take the mean of a loss over all its voxels, and guard logarithms and divisions",
    needs=("moves-name-players",),
)
def losses_are_finite_scalars(subject: Subject) -> None:
    for player, losses in _moves(subject, subject.build()):
        for name, value in losses.items():
            what = f"the loss {name!r} of {player!r}"
            require(isinstance(value, Tensor), f"{what} is a {type(value).__name__} instead of a tensor")
            require(value.numel() == 1, f"{what} has the shape {tuple(value.shape)}")
            require(value.isfinite().all(), f"{what} is {float(value.detach())}")


def _moves(subject: Subject, model: nn.Module) -> Iterator[tuple[str, dict[str, Tensor]]]:
    seed_everything(0)
    return iter(model.train().moves(subject.batch()))  # type: ignore[operator]


class _Watched(Trainer):
    """Records whose parameters change in a move, and whose between two moves."""

    def __init__(self, *words: object) -> None:
        super().__init__(*words)  # type: ignore[arg-type]
        self.faults: list[str] = []
        self.before = self._all()

    def _all(self) -> dict[str, list[Tensor]]:
        return {name: [p.detach().clone() for p in player.parameters] for name, player in self.players.items()}

    def _changed(self) -> set[str]:
        """Players whose parameters have changed since the last call."""
        now, before = self._all(), self.before
        self.before = now
        pairs = {name: zip(now[name], before[name], strict=True) for name in now}
        return {name for name in now if not all(torch.equal(a, b) for a, b in pairs[name])}

    def _move(self, name: str, loss: Tensor, progress: float) -> None:
        for who in sorted(self._changed()):
            self.faults.append(f"moves() itself changes the parameters of {who!r}")
        if not loss.requires_grad:
            self.faults.append(f"the losses of {name!r} do not depend on any parameter")
            return
        super()._move(name, loss, progress)
        changed = self._changed()
        if name not in changed:
            self.faults.append(f"the move of {name!r} does not change its own parameters")
        for who in sorted(changed - {name}):
            self.faults.append(f"the move of {name!r} changes the parameters of {who!r}")


@rule(
    "a move changes the parameters of its player and of no other",
    "compute the losses of a move from its player's parameters, detach() (not detach_()) what must not reach another "
    "player, and change no parameter inside moves()",
    needs=("one-player-a-parameter", "losses-are-finite-scalars"),
)
def moves_change_their_player_only(subject: Subject) -> None:
    if not subject.fresh.players():  # type: ignore[operator]
        raise Unfit("untrained: it has no players")
    with temporary_folder() as folder:
        trainer = subject.trainer(folder, kind=_Watched, steps=2)
        try:
            trainer.fit()
        except RuntimeError as error:  # the losses do not depend on the parameters
            raise Broken(describe(error)) from error
    assert isinstance(trainer, _Watched)
    require(not trainer.faults, next(iter(trainer.faults), ""))


@rule(
    "the same seed gives the same first weights and the same training",
    "draw all random numbers from the global generators of torch, NumPy or Python, which the trainer seeds",
    needs=("losses-are-finite-scalars",),
)
def one_seed_one_network(subject: Subject) -> None:
    differs = same(subject.build(seed=3), subject.build(seed=3))
    require(not differs, f"two networks built with the same seed differ in {differs}")
    with temporary_folder() as folder:
        first, again = (subject.trainer(folder / name, steps=2).fit() for name in ("first", "again"))
    differs = same(first, again)
    require(not differs, f"two trainings of two steps with the same seed differ in {differs}")


@rule(
    "saved weights that are loaded into a fresh network give bit-identical outputs",
    "register everything that forward needs as a parameter or buffer outside of modules with training_only = True, and "
    "register no tensor twice",
    needs=("eval-repeats",),
)
@torch.no_grad()
def weights_round_trip(subject: Subject) -> None:
    model = subject.fresh
    try:
        stored = save({name: value.contiguous() for name, value in delivered_weights(model).items()})
    except RuntimeError as error:  # tensors that share memory
        raise Broken(f"the weights cannot be saved ({describe(error)})") from error
    other = subject.build(seed=7).eval()
    other.load_state_dict(load(stored), strict=False)
    given = subject.inputs(model, subject.batch())
    off = float((model(*given) - other(*given)).abs().max())
    require(off == 0, f"outputs differ by up to {off:.3g}")


class _Stopped(Exception):
    """Simulates a crash between two steps."""


@rule(
    "an interrupted and resumed training gives bit-identical weights",
    "keep all state between steps (pools, counters, running means) in buffers",
    needs=("one-seed-one-network", "weights-round-trip"),
)
def resumes_exactly(subject: Subject) -> None:
    def stop(step: int, losses: dict[str, float]) -> None:
        if step == 3:
            raise _Stopped

    with temporary_folder() as folder:
        trainer = subject.trainer(folder / "uninterrupted")
        uninterrupted = trainer.fit()
        if trainer.step <= 3:
            if trainer.step == 0:
                raise Unfit("untrained, and sees no batch: there is nothing to resume")
            return
        with contextlib.suppress(_Stopped):
            subject.trainer(folder / "cut", on_step=stop).fit()
        # With other first weights, so that everything must come from the checkpoint of step 2.
        resumed = subject.trainer(folder / "cut", seed=7).fit()
    differs = same(uninterrupted, resumed)
    require(not differs, f"the two networks differ in {differs}")


@rule(
    f"the network learns one batch: the distance from its target falls to {100 * SHARE:g} % within 200 steps",
    "check the signs and weights of the losses, and the parameters in players()",
    needs=("shapes-and-ranges", "moves-change-their-player-only"),
)
def one_batch_is_learnt(subject: Subject) -> str:
    if not subject.fresh.players():  # type: ignore[operator]
        raise Unfit("untrained: it learns nothing")
    learnt = learn(subject)
    observed = f"{learnt.what} went from {learnt.start:.3g} to {learnt.end:.3g} in {learnt.steps} steps"
    require(learnt.end <= SHARE * learnt.start, observed)
    return observed


@rule(
    "it trains under bfloat16 autocast",
    "call .float() before losses, logarithms and sums over many voxels, or set bf16=False in the spec",
    needs=("one-seed-one-network",),
)
def bf16(subject: Subject) -> None:
    if not subject.spec.bf16:
        raise Unfit("its spec says bf16=False")
    with temporary_folder() as folder:
        try:
            model = subject.trainer(folder, precision="bf16", steps=3).fit()
        except Exception as error:
            raise Broken(describe(error)) from error
    wrong = [name for name, value in model.named_parameters() if not value.isfinite().all()]
    require(not wrong, f"{wrong[0] if wrong else ''} is not finite after three steps")


@rule(
    "an edit of the label map changes the image at the place of the edit more than elsewhere",
    "let the labels reach every voxel of the image, and encode them as one-hot instead of intensities",
    (Role.TRANSLATOR,),
    needs=("eval-repeats", "one-batch-is-learnt"),
)
@torch.no_grad()
def label_edits_show(subject: Subject) -> None:
    model, batch = trained(subject), subject.batch(2)
    labels = batch.labels.clone()
    place = (slice(None), *(slice(3 * subject.edge // 16, 6 * subject.edge // 16),) * subject.dims)
    inside = torch.zeros_like(labels, dtype=torch.bool)
    labels[place], inside[place] = 4, True
    before, after = (
        model(*subject.inputs(model, Batch(given, batch.image, batch.mask))) for given in (batch.labels, labels)
    )
    change = (after - before).abs()[:, 0]
    here, elsewhere = float(change[inside].mean()), float(change[~inside].mean())
    require(here > 0, "a lesion drawn into the label map changes nothing")
    require(here > 2 * elsewhere, f"the image changes by {here:.3g} in the edit and by {elsewhere:.3g} elsewhere")

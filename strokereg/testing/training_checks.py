"""Checks of players, moves and the uniform trainer."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch
from safetensors.torch import load, save
from torch import Tensor, nn

from strokereg.core.roles import Batch, Player
from strokereg.core.train.device import seed_everything
from strokereg.core.train.trainer import Trainer
from strokereg.testing.check import Broken, Unfit, require, rule, told
from strokereg.testing.forward_checks import same
from strokereg.testing.learning import SHARE, learn, lively
from strokereg.testing.subject import Subject


@rule(
    "every trainable parameter belongs to exactly one player",
    "give each player the parameters of its own networks; set requires_grad=False on those that stay as they are",
)
def one_player_a_parameter(subject: Subject) -> None:
    model = subject.build()
    players: dict[str, Player] = model.players()  # type: ignore[operator]
    names = {id(p): name for name, p in model.named_parameters()}
    owners: dict[int, list[str]] = {}
    for name, player in players.items():
        require(isinstance(player, Player), f"the player {name!r} is a {type(player).__name__}")
        for parameter in player.parameters:
            require(id(parameter) in names, f"the player {name!r} owns a parameter that the network does not have")
            owners.setdefault(id(parameter), []).append(name)
    for parameter in (p for p in model.parameters() if p.requires_grad):
        owned = owners.get(id(parameter), [])
        require(len(owned) == 1, f"{names[id(parameter)]} belongs to {' and '.join(owned) or 'no player'}")


@rule(
    "moves(batch) plays to its end, names only players of players(), and gives each of them a move",
    "yield (player, {loss name: tensor}) once or more for each player, under its name in players()",
)
def moves_name_players(subject: Subject) -> None:
    model = subject.build()
    known = model.players()  # type: ignore[operator]
    moved = []
    for name, losses in _moves(subject, model):
        require(name in known, f"it moved {name!r}; players() names {', '.join(known) or 'nobody'}")
        require(isinstance(losses, dict) and losses, f"the move of {name!r} came without named losses")
        moved.append(name)
    idle = [name for name in known if name not in moved]
    require(not idle, f"{' and '.join(idle)} never moved")


@rule(
    "every loss is one finite number",
    "take the mean of a loss over all its voxels, and guard logarithms and divisions",
    needs=("moves-name-players",),
)
def losses_are_finite_scalars(subject: Subject) -> None:
    for player, losses in _moves(subject, subject.build()):
        for name, value in losses.items():
            what = f"the loss {name!r} of {player!r}"
            require(isinstance(value, Tensor), f"{what} is a {type(value).__name__} and not a tensor")
            require(value.numel() == 1, f"{what} has the shape {tuple(value.shape)}")
            require(value.isfinite().all(), f"{what} is {float(value.detach())}")


def _moves(subject: Subject, model: nn.Module) -> Iterator[tuple[str, dict[str, Tensor]]]:
    seed_everything(0)
    return iter(model.train().moves(subject.batch()))  # type: ignore[operator]


class _Watched(Trainer):
    """Writes down whose parameters change in a move, and whose between two moves."""

    def __init__(self, *words: object) -> None:
        super().__init__(*words)  # type: ignore[arg-type]
        self.faults: list[str] = []
        self.before = self._all()

    def _all(self) -> dict[str, list[Tensor]]:
        return {name: [p.detach().clone() for p in player.parameters] for name, player in self.players.items()}

    def _changed(self) -> set[str]:
        """Who has changed since the last call."""
        now, before = self._all(), self.before
        self.before = now
        pairs = {name: zip(now[name], before[name], strict=True) for name in now}
        return {name for name in now if not all(torch.equal(a, b) for a, b in pairs[name])}

    def _move(self, name: str, loss: Tensor, progress: float) -> None:
        for who in sorted(self._changed()):
            self.faults.append(f"moves() itself changed the parameters of {who!r}")
        if not loss.requires_grad:
            self.faults.append(f"the losses of {name!r} do not depend on any parameter")
            return
        super()._move(name, loss, progress)
        changed = self._changed()
        if name not in changed:
            self.faults.append(f"the move of {name!r} left its own parameters as they were")
        for who in sorted(changed - {name}):
            self.faults.append(f"the move of {name!r} changed the parameters of {who!r}")


@rule(
    "a move changes the parameters of its player, and nobody else's",
    "let losses reach the player that is named with them: detach() for what another player shall not feel, and never "
    "detach_(), which cuts the tensor itself; change no parameter inside moves()",
    needs=("one-player-a-parameter", "losses-are-finite-scalars"),
)
def moves_change_their_player_only(subject: Subject) -> None:
    if not subject.ready.players():  # type: ignore[operator]
        raise Unfit("untrained: nobody moves")
    with subject.folder() as folder:
        trainer = subject.trainer(folder, kind=_Watched, steps=2)
        try:
            trainer.fit()
        except RuntimeError as error:  # torch finds no way from the losses to the parameters
            raise Broken(told(error)) from error
    assert isinstance(trainer, _Watched)
    require(not trainer.faults, next(iter(trainer.faults), ""))


@rule(
    "one seed gives one network: the same first weights and the same training",
    "draw everything random from torch, NumPy or Python's global generators, which the trainer seeds",
    needs=("losses-are-finite-scalars",),
)
def one_seed_one_network(subject: Subject) -> None:
    differs = same(subject.build(seed=3), subject.build(seed=3))
    require(not differs, f"two networks built under one seed differ in {differs}")
    with subject.folder() as folder:
        first, again = (subject.trainer(folder / name, steps=2).fit() for name in ("first", "again"))
    differs = same(first, again)
    require(not differs, f"two trainings of two steps under one seed differ in {differs}")


@rule(
    "weights that are saved and loaded into a fresh network give the same outputs to the bit",
    "register what forward needs as parameters or buffers; no two names for one tensor",
    needs=("eval-repeats",),
)
@torch.no_grad()
def weights_round_trip(subject: Subject) -> None:
    model = subject.ready
    try:
        stored = save({name: value.contiguous() for name, value in model.state_dict().items()})
    except RuntimeError as error:  # tensors that share memory
        raise Broken(f"the weights cannot be stored ({told(error)})") from error
    other = subject.build(seed=7).eval()
    other.load_state_dict(load(stored))
    given = subject.inputs(model, subject.batch())
    off = float((model(*given) - other(*given)).abs().max())
    require(off == 0, f"outputs differ by up to {off:.3g}")


class _Stopped(Exception):
    """Stands for a crash between two steps."""


@rule(
    "a training that was cut off and taken up again ends with the same weights to the bit",
    "keep what a step leaves behind (pools, counters, running means) in buffers",
    needs=("one-seed-one-network", "weights-round-trip"),
)
def resumes_exactly(subject: Subject) -> None:
    def stop(step: int, losses: dict[str, float]) -> None:
        if step == 3:
            raise _Stopped

    with subject.folder() as folder:
        trainer = subject.trainer(folder / "whole")
        whole = trainer.fit()
        if trainer.step <= 3:
            if trainer.step == 0:
                raise Unfit("untrained, and looks at no batch: there is nothing to take up")
            return
        with contextlib.suppress(_Stopped):
            subject.trainer(folder / "cut", on_step=stop).fit()
        # Other first weights: all that counts must come from the checkpoint of step 2.
        resumed = subject.trainer(folder / "cut", seed=7).fit()
    differs = same(whole, resumed)
    require(not differs, f"the two differ in {differs}")


@rule(
    f"one batch can be learnt: what the role is for improves to {100 * SHARE:g} % of the distance within 200 steps",
    "look at the sign and the weights of the losses, and at what players() hands to the trainer",
    needs=("shapes-and-ranges", "moves-change-their-player-only"),
)
def one_batch_is_learnt(subject: Subject) -> str:
    if not subject.ready.players():  # type: ignore[operator]
        raise Unfit("untrained: there is nothing to learn")
    seen = learn(subject)
    fell = f"{seen.what} went from {seen.start:.3g} to {seen.end:.3g} in {seen.steps} steps"
    require(seen.end <= SHARE * seen.start, fell)
    return fell


@rule(
    "it trains under bfloat16 autocast",
    "call .float() before losses, logarithms and sums over many voxels, or say bf16=False in the spec",
    needs=("one-seed-one-network",),
)
def bf16(subject: Subject) -> None:
    if not subject.spec.bf16:
        raise Unfit("its spec says bf16=False")
    with subject.folder() as folder:
        try:
            model = subject.trainer(folder, precision="bf16", steps=3).fit()
        except Exception as error:
            raise Broken(told(error)) from error
    wrong = [name for name, value in model.named_parameters() if not value.isfinite().all()]
    require(not wrong, f"{wrong[0] if wrong else ''} is not finite after three steps")


@rule(
    "an edit of the label map changes the image where the edit is, more than anywhere else",
    "let the labels reach every place of the image; one-hot them rather than taking them for intensities",
    ("translator",),
    needs=("eval-repeats", "one-batch-is-learnt"),
)
@torch.no_grad()
def label_edits_show(subject: Subject) -> None:
    model, batch = lively(subject), subject.batch(2)
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

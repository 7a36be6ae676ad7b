"""Training on cases that are simulated meanwhile, on a coarse grid and with a small network."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from strokereg.core.cohort.labels import TISSUES
from strokereg.core.scan.grid import Preparation
from strokereg.core.simulate.anatomy import load_anatomy
from strokereg.core.simulate.plan import draw_plan
from strokereg.core.simulate.subject import simulate_subject
from strokereg.core.synthesis.simulated import SimulatedSource, SimulatedStream, roughly_extracted, train_simulated
from strokereg.core.train.training import TrainingSettings
from strokereg.registry.problem import Problem

SOURCE = SimulatedSource(cases=5, shape=(38, 38, 24), spacing=6.0, window=3, steps_per_case=2)


class Dataset:
    """What a stream asks of a prepared dataset."""

    preparation = Preparation(channels=("dwi", "adc"), spacing=(6.0, 6.0, 6.0), size=(32, 32, 1))
    problem = Problem(dims=2, labels=TISSUES.count, channels=2, size=(32, 32))


def stream(**changes):
    return SimulatedStream(SOURCE.model_copy(update=changes), Dataset())


def test_a_case_depends_on_its_number_and_the_seed_only():
    first, again, other = stream().draw(4), stream(window=9).draw(4), stream(seed=1).draw(4)
    assert np.array_equal(first.image, again.image)
    assert np.array_equal(first.labels, again.labels)
    assert not np.array_equal(first.image, other.image)
    assert first.image.shape[0] == 2
    assert first.image.dtype == np.float32
    assert first.mask.any()


def test_steps_move_along_the_cases():
    moving = stream()
    first, same, later = moving.at(0), moving.at(1), moving.at(2)
    assert [a is b for a, b in zip(first, same, strict=True)] == [True] * 3
    assert [a is b for a, b in zip(first[1:], later, strict=False)] == [True] * 2
    resumed = stream().at(2)
    assert all(np.array_equal(a.case.image, b.case.image) for a, b in zip(later, resumed, strict=True))


def test_cases_with_a_skull_show_more_than_the_brain():
    found = [stream(rough=0.0, skull=share).draw(1) for share in (0.0, 1.0)]
    beyond = [float((case.image[0][case.labels == 0] > -1.0).mean()) for case in found]
    assert beyond[0] < 0.1 < beyond[1]


def test_a_rough_extraction_keeps_most_of_the_brain_and_something_else():
    subject = simulate_subject(np.random.default_rng(0), load_anatomy(None), 9.0, SOURCE.shape, SOURCE.spacing)
    brain = subject.dseg > 0
    rough = [roughly_extracted(np.random.default_rng(seed), subject, SOURCE.spacing) for seed in range(8)]
    assert all((mask & brain).sum() > 0.8 * brain.sum() for mask in rough)
    assert np.mean([(mask & ~brain).sum() / brain.sum() for mask in rough]) > 0.02


def test_training_draws_from_no_head_or_lesion_of_the_other_parts(tmp_path):
    heads, masks = tmp_path / "heads", tmp_path / "masks"
    for folder, count in ((heads, 6), (masks, 20)):
        folder.mkdir()
        for number in range(count):
            (folder / f"{number:02d}.nii.gz").touch()
    source = SimulatedSource(labels=heads, cases=20)
    drawn = SimulatedStream(source, Dataset())
    plan = draw_plan(20, sorted(heads.iterdir()), [], 0, source.cohort().parts)
    others = {case.anatomy for case in plan.cases if case.subject not in plan.split.train}
    assert others
    assert drawn.anatomies
    assert others.isdisjoint(drawn.anatomies)
    assert others | set(drawn.anatomies) == set(heads.iterdir())


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> tuple[Path, object]:
    """A run of three steps."""
    out = tmp_path_factory.mktemp("simulated") / "run"
    settings = TrainingSettings(
        options={"widths": (4, 8)},
        dataset={"channels": ("dwi", "adc"), "spacing": (6.0, 6.0, 6.0)},
        trainer={"steps": 3, "batch_size": 2, "evaluations": 1},
    )
    return train_simulated("unet", SOURCE, out, settings, workers=1)


def test_a_run_records_what_it_was_simulated_from(trained):
    _, record = trained
    assert record.done
    assert record.cohort["simulated"] is True
    assert record.cohort["stream"]["steps_per_case"] == 2
    assert record.preparation.channels == ("dwi", "adc")
    assert record.postprocessing is not None
    assert Path(record.cohort["path"]).is_dir()  # what export measures the loss of a lower precision on

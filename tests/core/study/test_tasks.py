"""Every synthetic database is looked at."""

from __future__ import annotations

import threading
from dataclasses import replace

import numpy as np
import pytest
import torch

from strokereg.core.study import tasks
from strokereg.core.study.plan import TaskKind, make_plan
from strokereg.core.synthesis.cases import read_database
from strokereg.core.train.sampler import Sampler, cut


def test_a_study_has_it_beside_every_gain(small_study):
    """A mixed case is its host nearly everywhere; a random contrast shares no more than the outline with it."""
    by_model = {quality.model: quality for quality in small_study.results.quality}
    assert set(by_model) == {"random-contrast", "carvemix"}
    mixed, painted = by_model["carvemix"], by_model["random-contrast"]
    assert mixed.memorisation.detects_copies
    assert mixed.memorisation.pixels.near > 0.8
    assert painted.memorisation.features.near < 0.5 < mixed.memorisation.features.near
    assert mixed.image_quality is None
    assert 0 < painted.image_quality.ssim.value < 1
    assert painted.true_contrast.value > 1.2
    page = small_study.report.read_text()
    assert "unusually close to a training image" in page
    assert 'id="quality"' in page
    assert (small_study.json.parent / "table.tex").is_file()


def test_an_edited_database_keeps_the_scans(small_cohort, tmp_path, small_context):
    """The same lesions as in the translated one, in images that are the hosts' where no label changed."""
    compose = ("translated", "edited")
    context = small_context(small_cohort, tmp_path, models=("random-contrast",), quality=False, compose=compose)
    plan, made = make_plan(context), {}
    for task in plan.tasks.values():
        if task.kind is not TaskKind.SEGMENTER:
            tasks.perform(context, task, {key: plan.tasks[key] for key in task.needs}, lambda *_: None)
        if task.kind is TaskKind.DATABASE:
            made[str(task.compose)] = read_database(context.store / task.folder, context.dataset.table.lesion)
    for number, (translated, edited) in enumerate(zip(*(made[one] for one in compose), strict=True)):
        assert np.array_equal(translated.labels, edited.labels)
        host, heights = context.dataset.train[number], len(edited.labels)
        brain = np.flatnonzero(host.labels.any(axis=(1, 2)))
        assert len(brain) == heights
        labels, image = (np.asarray(array)[..., brain, :, :] for array in (host.labels, host.image))
        shape = edited.labels.shape[1:]
        kept = []
        for turn in (1, -1):
            units = [cut(image[:, z, :, ::turn], labels[z, :, ::turn], (), shape) for z in range(heights)]
            unchanged = [z for z in range(heights) if np.array_equal(units[z][1], edited.labels[z])]
            head = edited.labels > 0
            kept.append(sum(np.array_equal(edited.image[:, z, head[z]], units[z][0][:, head[z]]) for z in unchanged))
        assert max(kept) > 0
        assert not np.array_equal(translated.image, edited.image)


@pytest.mark.parametrize(("device", "threads"), [("cpu", "MainThread"), ("cuda", "batches_0")])
def test_beside_a_gpu_batches_are_drawn_ahead(small_cohort, tmp_path, small_context, monkeypatch, device, threads):
    context = small_context(small_cohort, tmp_path, models=("carvemix",), quality=False)
    context = replace(context, settings=context.settings.model_copy(update={"device": device}))
    task = next(task for task in make_plan(context).tasks.values() if task.kind is TaskKind.SEGMENTER)
    drawn, draft = [], Sampler.draft

    def watched(self, step, device="cpu"):
        drawn.append(threading.current_thread().name)
        return draft(self, step, "cpu")

    class Trained(Exception):
        pass

    def train(folder, record, draw, on_step, validator):
        draw(0, "cpu", 0.0)
        raise Trained

    monkeypatch.setattr(Sampler, "draft", watched)
    monkeypatch.setattr(tasks, "train_run", train)
    with pytest.raises(Trained):
        tasks.perform(context, task, {}, lambda *_: None)
    assert set(drawn) == {threads}


def test_every_task_computes_with_the_threads_that_were_asked_for(small_cohort, tmp_path, small_context, monkeypatch):
    """A task that trains nothing used to take all cores."""
    context = small_context(small_cohort, tmp_path, models=("carvemix",), quality=False, threads=2)
    mixture = next(task for task in make_plan(context).tasks.values() if task.kind is TaskKind.DATABASE)
    asked = []
    monkeypatch.setattr(torch, "set_num_threads", asked.append)
    tasks.perform(context, mixture, {}, lambda *_: None)
    assert asked == [2]

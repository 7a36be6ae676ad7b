from collections import Counter

import pytest

from strokereg.core.cohort.split import PARTS
from strokereg.core.simulate.plan import draw_plan, list_sources
from strokereg.registry.errors import InputError


def by_part(plan, source):
    found = {part: set() for part in PARTS}
    for case in plan.cases:
        part = next(p for p in PARTS if case.subject in plan.split.part(p))
        found[part].add(getattr(case, source))
    return found


def overlap(found):
    return any(found[a] & found[b] for a in PARTS for b in PARTS if a != b)


@pytest.mark.parametrize("cases", [5, 10, 12, 30])
def test_no_source_crosses_the_split(sources, cases):
    heads, masks = (list_sources(folder, "--x") for folder in sources)
    plan = draw_plan(cases, heads, masks, seed=1)
    assert sorted(s for part in PARTS for s in plan.split.part(part)) == [case.subject for case in plan.cases]
    assert plan.disjoint_anatomies
    assert plan.disjoint_lesions
    assert not overlap(by_part(plan, "anatomy"))
    assert not overlap(by_part(plan, "lesion"))
    assert all(plan.split.part(part) for part in PARTS)


def test_sources_are_used_evenly(sources):
    heads, masks = (list_sources(folder, "--x") for folder in sources)
    assert max(Counter(case.lesion for case in draw_plan(12, heads, masks, 0).cases).values()) == 1
    assert set(Counter(case.lesion for case in draw_plan(30, heads, masks, 0).cases).values()) == {2, 3}


def test_too_few_sources_are_admitted(sources):
    heads, masks = (list_sources(folder, "--x") for folder in sources)
    plan = draw_plan(8, heads[:2], masks[:3], seed=0)
    assert not plan.disjoint_anatomies
    assert not plan.disjoint_lesions


def test_the_embedded_head_is_shared_and_lesions_differ():
    plan = draw_plan(20, [], [], seed=0)
    assert {case.anatomy for case in plan.cases} == {None}
    assert len({case.volume_ml for case in plan.cases}) == 20
    assert not plan.disjoint_anatomies


def test_a_seed_decides_the_plan():
    assert draw_plan(9, [], [], seed=4) == draw_plan(9, [], [], seed=4)
    assert draw_plan(9, [], [], seed=4).split != draw_plan(9, [], [], seed=5).split


def test_four_cases_are_too_few():
    with pytest.raises(InputError, match="--cases 4: a cohort needs at least 5"):
        draw_plan(4, [], [], seed=0)


def test_folders_without_sources_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"--labels .*: no such folder"):
        list_sources(tmp_path / "nowhere", "--labels")
    with pytest.raises(InputError, match=r"--lesions .*: holds no image"):
        list_sources(tmp_path, "--lesions")

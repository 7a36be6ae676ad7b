"""Put the peers' scores beside those of a study's clinical-only arms: a Markdown table.

Only trainings on the study's own cohort, grid and number of cases stand in it, told by content and not by name.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from strokereg.core.report.results import Arm, Results, SeedScores
from strokereg.core.report.statistics import contrast, spread
from strokereg.core.report.summary import external_scores, scores
from strokereg.core.report.text import interval, mean_form, signed
from strokereg.registry.errors import InputError

HEADINGS = (
    "training",
    "cases",
    "seeds",
    "steps × slices",
    "weights, M",
    "Dice %",
    "Dice points against ours, 95 %",
    "lesion F1 %",
    "Dice % as it ships",
    "external Dice %",
    "the same as it ships",
)


def table(results: Results, peers: Sequence[dict[str, Any]]) -> str:
    """The table. Dice without a remark is after the postprocessing rule that strokereg chooses on the validation cases.

    Args:
        results: of the study.
        peers: contents of the files that `evaluate.py` writes.
    """
    rows = [HEADINGS, ["---"] * len(HEADINGS)]
    for arm in sorted((a for a in results.arms if a.training == "clinical" and a.seeds), key=lambda a: a.cases):
        rows.append(_ours(arm, results))
        for name, group in _groups(p for p in peers if p["cases"] == arm.cases):
            rows.append(_theirs(name, group, arm))
    return "\n".join(f"| {' | '.join(row)} |" for row in rows) + "\n"


def fitting(results: Results, peers: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """The peers that trained on the study's cohort and grid.

    Raises:
        InputError: one of them on others; the numbers must not stand beside each other.
    """
    kept = list(peers)
    cohort, spacing = results.study.cohort, results.study.spacing
    for peer in kept:
        if (peer["content"], tuple(peer["spacing"])) != (cohort.fingerprint, spacing):
            raise InputError(
                f"{peer['peer']}: trained on {peer['cohort']} ({peer['content']}) at {peer['spacing']} mm, the study "
                f"on {cohort.name} ({cohort.fingerprint}) at {list(spacing)} mm; train both on one"
            )
    return kept


def _groups(peers: Iterable[dict[str, Any]]) -> list[tuple[str, list[dict[str, Any]]]]:
    """Trainings of one recipe that differ in the seed only."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for peer in peers:
        recipe = ", ".join(f"{key} {value}" for key, value in peer["recipe"].items())
        recipe += f", {added} cases added" if (added := peer.get("added")) else ""
        groups.setdefault(f"{peer['peer']} ({recipe})|{peer['steps']}|{peer['batch_size']}", []).append(peer)
    return [(key.split("|")[0], sorted(group, key=lambda p: p["seed"])) for key, group in sorted(groups.items())]


def _ours(arm: Arm, results: Results) -> list[str]:
    budget = str(results.study.steps["segmenter"])
    dice, f1 = (mean_form(spread(scores(arm.seeds, sorted(arm.seeds[0].cases), m))) for m in ("dice", "lesion_f1"))
    elsewhere = external_scores(arm.seeds)
    external = mean_form(spread(elsewhere)) if elsewhere.size else "–"
    name = f"strokereg {arm.segmenter}, clinical only"
    return [name, str(arm.cases), str(len(arm.seeds)), budget, "–", dice, "–", f1, "–", external, "–"]


def _theirs(name: str, group: Sequence[dict[str, Any]], ours: Arm) -> list[str]:
    chosen, own = ([SeedScores.model_validate(p["rules"][rule]) for p in group] for rule in ("chosen", "own"))
    names = sorted(chosen[0].cases)
    if set(names) != set(ours.seeds[0].cases):
        raise InputError(f"{name}: was evaluated on other test cases than the study; evaluate it again")
    against = contrast(scores(chosen, names), scores(ours.seeds, names))
    elsewhere = [mean_form(spread(found)) if (found := external_scores(rule)).size else "–" for rule in (chosen, own)]
    return [
        name,
        str(ours.cases),
        str(len(group)),
        f"{group[0]['steps']} × {group[0]['batch_size']}",
        f"{group[0]['parameters'] / 1e6:.1f}",
        mean_form(spread(scores(chosen, names))),
        f"{signed(against.difference)} ({interval(against)})",
        mean_form(spread(scores(chosen, names, "lesion_f1"))),
        mean_form(spread(scores(own, names))),
        *elsewhere,
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("results", type=Path, help="results.json of the study")
    parser.add_argument("peers", type=Path, nargs="+", help="files that evaluate.py wrote")
    given = parser.parse_args()
    try:
        results = Results.read(given.results)
        peers = fitting(results, (json.loads(path.read_text(encoding="utf-8")) for path in given.peers))
        print(table(results, peers), end="")
    except InputError as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()

"""Does the gain carry over? nnU-Net on few real patients, with and without our synthetic cases, on the same test cases.

One command that goes on where it stopped: each step leaves a file, and a step whose file is there is not done again.

    WORK/real, WORK/synthetic             cohorts: n training cases of COHORT, and cases made from these alone
    WORK/translator, WORK/generator       runs of strokereg
    WORK/clinical, WORK/mixed             an exchange folder an arm (`exchange.py`), with nnU-Net's predictions
    WORK/results.json, WORK/results.md    scores per case, and the paired difference
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from convert import convert
from evaluate import evaluate
from exchange import Exchange

from strokereg.cli.main import main as strokereg
from strokereg.core.cohort.embedded import unpack
from strokereg.core.cohort.exporting import ExportFormat
from strokereg.core.cohort.exporting.choose import ExportSettings
from strokereg.core.cohort.exporting.run import export_data
from strokereg.core.report.results import SeedScores
from strokereg.core.report.statistics import contrast, spread
from strokereg.core.report.summary import scores
from strokereg.core.report.text import interval, mean_form, signed
from strokereg.core.storage.cache import cache_folder
from strokereg.core.storage.files import write_json, write_text
from strokereg.registry.errors import InputError

ARMS = ("clinical", "mixed")


def make_cohorts(given: argparse.Namespace) -> tuple[Path, Path]:
    """The cohort of the first n training cases, and the synthetic one that is made from these cases alone."""
    work, cohort, masks = given.work, given.cohort, given.masks
    if cohort is None:
        embedded = unpack(cache_folder())
        cohort, masks = embedded.cohort, masks or embedded.masks
    if masks is None:
        raise InputError("--masks: give a folder of lesion masks in MNI space, of none of the cohort's patients")
    real, synthetic = work / "real", work / "synthetic"
    if not real.is_dir():
        export_data(cohort, real, ExportSettings(ExportFormat.BIDS, cases=given.cases))
    common = ["--data", real, "--spacing", given.spacing, "--seed", 0]
    translator, generator = work / "translator", work / "generator"
    _strokereg("train", given.translator, *common, "--steps", given.translator_steps, "--out", translator)
    _strokereg("train", "mask-library", *common, "--set", f"folder={masks.resolve()}", "--steps", 8, "--out", generator)
    made = ("--translator", translator, "--generator", generator, "--cohort", real, "--n", given.synthetic)
    _strokereg("synthesize", *made, "--lesion-share", 1, "--out", synthetic)
    return real, synthetic


def make_arm(work: Path, arm: str, real: Path, synthetic: Path, spacing: float) -> Exchange:
    """The exchange folder of an arm."""
    data = Exchange(work / arm)
    if not data.facts_file.is_file():
        shutil.rmtree(data.out, ignore_errors=True)  # half of it, where it was interrupted
        convert(real, data.out, 0, spacing, added=[synthetic] if arm == "mixed" else [])
    return data


def train_nnunet(data: Exchange, seed: int, given: argparse.Namespace) -> Path:
    """Train nnU-Net in its own environment, unless that is done; returns the folder of the predictions."""
    name = f"nnunet-nnUNetTrainer_50epochs-{given.epochs}ep-{given.steps}x{given.batch}-s{seed}"
    run = data.out / "predictions" / name
    if not (run / "training.json").is_file():
        words = ["--steps", given.steps, "--batch", given.batch, "--seed", seed, "--epochs", given.epochs]
        script = Path(__file__).with_name("nnunet_run.py")
        subprocess.run([given.nnunet, script, data.out, *map(str, words)], check=True)
    return run


def compare(found: dict[str, list[dict[str, Any]]]) -> str:
    """A Markdown table: Dice of both arms, and the paired difference with its interval, for both postprocessing rules.

    Args:
        found: arm → what `evaluate` says of each seed.
    """
    lines = [
        "| postprocessing | clinical only, Dice % | with synthetic cases | difference, 95 % |",
        "|---|---|---|---|",
    ]
    for rule, title in (("chosen", "chosen on validation cases"), ("own", "as nnU-Net ships")):
        seeds = {arm: [SeedScores.model_validate(run["rules"][rule]) for run in found[arm]] for arm in ARMS}
        names = sorted(seeds[ARMS[0]][0].cases)
        clinical, mixed = (scores(seeds[arm], names) for arm in ARMS)
        difference = contrast(mixed, clinical)
        cells = (title, mean_form(spread(clinical)), mean_form(spread(mixed)))
        lines.append(f"| {' | '.join(cells)} | {signed(difference.difference)} ({interval(difference)}) |")
    return "\n".join(lines) + "\n"


def _strokereg(*words: object) -> None:
    if code := strokereg([str(word) for word in words]):
        raise SystemExit(code)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("work", type=Path, help="folder to make or to continue")
    parser.add_argument("--nnunet", type=Path, required=True, help="Python of the environment with nnunetv2")
    parser.add_argument("--cohort", type=Path, help="default: the embedded cohort")
    parser.add_argument("--masks", type=Path, help="lesion masks in MNI space; default: the embedded ones")
    parser.add_argument("--cases", type=int, default=10, help="real training cases")
    parser.add_argument("--synthetic", type=int, default=400, help="synthetic cases")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=1000, help="of nnU-Net; a multiple of --epochs")
    parser.add_argument("--epochs", type=int, default=50)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--spacing", type=float, default=3.0, help="of the grid, mm")
    parser.add_argument("--translator", default="pix2pix")
    parser.add_argument("--translator-steps", type=int, default=1200)
    given = parser.parse_args()
    settings = {key: str(value) for key, value in vars(given).items() if key not in ("work", "nnunet")}
    note = given.work / "settings.json"
    if note.is_file() and (before := json.loads(note.read_text(encoding="utf-8"))) != settings:
        other = next(key for key in settings if settings[key] != before.get(key))
        parser.error(
            f"{given.work}: was begun with --{other.replace('_', '-')} {before.get(other)}; give another folder"
        )
    given.work.mkdir(parents=True, exist_ok=True)
    write_json(note, settings)
    try:
        real, synthetic = make_cohorts(given)
        found: dict[str, list[dict[str, Any]]] = {arm: [] for arm in ARMS}
        for seed in range(given.seeds):  # seed by seed, so that the first difference is there early
            for arm in ARMS:
                data = make_arm(given.work, arm, real, synthetic, given.spacing)
                found[arm].append(evaluate(train_nnunet(data, seed, given)))
            write_json(given.work / "results.json", found)
            write_text(given.work / "results.md", compare(found))
    except InputError as error:
        parser.error(str(error))
    sys.stdout.write(compare(found))


if __name__ == "__main__":
    main()

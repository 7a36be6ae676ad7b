"""Summary sentences of the results, shared by the terminal table and the report page."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping

from strokereg.core.report.results import Arm, Headroom, Quality, Results
from strokereg.core.report.statistics import FEWEST_CASES, Contrast, Spread
from strokereg.core.synthesis.composition import Composition
from strokereg.registry.errors import counted

#: Adjusted p values below this one count as significant.
SIGNIFICANT = 0.05
RULE = f"A gain is reported only if its 95 % interval is above 0 and p, adjusted for all arms, is below {SIGNIFICANT}."

#: Metric → heading, factor and decimals, in the order of the table of all scores.
METRICS = {
    "dice": ("Dice %", 100, 1),
    "lesion_f1": ("lesion F1 %", 100, 1),
    "surface_dice": ("surface Dice % at 2 mm", 100, 1),
    "hd95_mm": ("HD95 mm", 1, 1),
    "volume_difference_ml": ("volume difference ml", 1, 2),
    "count_difference": ("lesion-count difference", 1, 1),
}


def signed(value: float) -> str:
    """Format a difference of scores (0 … 1) in points: `+3.1`, `−0.4`."""
    text = f"{abs(value) * 100:.1f}"
    return text if text == "0.0" else ("+" if value > 0 else "−") + text


def plain(value: float) -> str:
    """Format an end of an interval in points, with a sign only if it is negative."""
    return signed(value).removeprefix("+")


def paper_form(spread: Spread) -> str:
    """Format as `best [mean ± sd]` in per cent, as in the paper; `best [mean]` for a single training."""
    return f"{spread.best * 100:.1f} [{mean_form(spread)}]"


def mean_form(spread: Spread) -> str:
    """`mean ± sd` in per cent."""
    return f"{spread.mean * 100:.1f}" + ("" if spread.sd is None else f" ± {spread.sd * 100:.1f}")


def share(arm: Arm) -> str | None:
    """Format a gain as a share of the headroom, `43 %`; None if the contrast is not a gain."""
    if arm.share is None or arm.contrast is None or verdict(arm.contrast) != "gain":
        return None
    return f"{arm.share * 100:.0f} %"


def p_value(p: float) -> str:
    """`0.004`, `0.21` or `< 0.001`."""
    if p < 0.001:
        return "< 0.001"
    return f"{p:.3f}" if p < 0.1 else f"{p:.2f}"


def interval(contrast: Contrast) -> str:
    """`0.9 to 5.2`, or a dash if there is no interval."""
    if contrast.low is None or contrast.high is None:
        return "–"
    return f"{plain(contrast.low)} to {plain(contrast.high)}"


def effect(contrast: Contrast) -> str:
    """The effect size, `−0.35`; a dash for as few cases as have no interval."""
    return "–" if contrast.low is None else f"{contrast.effect:+.2f}".replace("-", "−")


def verdict(contrast: Contrast) -> str:
    """One of `gain`, `loss`, `no difference shown`, `not significant`, `one training`, `too few cases`.

    A gain or a loss needs both: an interval that excludes 0 and an adjusted p below `SIGNIFICANT`.
    """
    if contrast.low is None:
        return "too few cases"
    if contrast.over == "cases":
        return "one training"
    if not (contrast.above_zero or contrast.below_zero):
        return "no difference shown"
    p = contrast.p if contrast.adjusted_p is None else contrast.adjusted_p
    if p is None or p >= SIGNIFICANT:
        return "not significant"
    return "gain" if contrast.above_zero else "loss"


def headroom_sentences(results: Results) -> list[str]:
    """Say how much more clinical cases improve the score at this training budget."""
    if not results.headroom:
        return ["Headroom: not measured. It needs clinical-only arms with all training cases and with fewer."]
    several = len({room.segmenter for room in results.headroom}) > 1
    return [_headroom_sentence(room, several) for room in results.headroom]


def arm_sentence(arm: Arm) -> str | None:
    """Describe the comparison of an arm with clinical only; None if the arm is not compared."""
    if arm.contrast is None:
        return None
    contrast = arm.contrast
    part = share(arm)
    part = f"; {part} of the headroom" if part else ""
    closing = {
        "gain": "",
        "loss": "; a loss",
        "not significant": "; p is not below 0.05, so this is not called a "
        + ("gain" if contrast.above_zero else "loss"),
        "no difference shown": "; the interval includes 0: no gain is shown",
        "one training": "; the interval does not cover variation between trainings, so this is not called a gain",
        "too few cases": "; without an interval this is not called a gain",
    }[verdict(contrast)]
    return f"{arm.name} ({counted(arm.cases, 'case')}): {_numbers(contrast)}{part}{closing}."


def arm_sentences(arms: Iterable[Arm]) -> list[str]:
    """One sentence per compared arm, and one per arm whose trainings all failed."""
    arms = list(arms)
    sentences = [sentence for arm in arms if (sentence := arm_sentence(arm))]
    return sentences + [
        f"{arm.name} ({counted(arm.cases, 'case')}): all trainings failed." for arm in arms if not arm.seeds
    ]


def failure_sentences(results: Results) -> list[str]:
    """One sentence per failed training."""
    return [f"Failed: {failure.what}: {failure.reason}." for failure in results.failures]


def summary_sentences(results: Results) -> list[str]:
    """One sentence per compared arm, then one per failure."""
    return arm_sentences(results.arms) + failure_sentences(results)


_NOTES = {"redrawn": "redrawn", "given_up": "could not be placed", "held_out_l1": "L1 to held-out images"}


def synthesis_sentence(notes: Mapping[str, float]) -> str:
    """Describe how a synthetic database was made: `912 lesions, 3,052 redrawn, 157 could not be placed, …`."""

    def words(note: str, value: float) -> str:
        name = _NOTES.get(note, note.replace("_", " "))
        return f"{value:,.0f} {name}" if float(value).is_integer() else f"{name} {value:.3g}"

    return ", ".join(words(note, value) for note, value in notes.items())


def quality_name(quality: Quality, results: Results) -> str:
    """Name a database by its model, and by cases and seed if the study has several."""
    parts = [quality.model, *([quality.note] if quality.note else [])]
    if len({other.cases for other in results.quality}) > 1:
        parts.append(f"{quality.cases} cases")
    if len({other.seed for other in results.quality}) > 1:
        parts.append(f"seed {quality.seed}")
    return ", ".join(parts)


def privacy_sentences(results: Results) -> list[str]:
    """Say for each synthetic database how many of its images are suspected copies of training images."""
    sentences = []
    for quality in results.quality:
        found, name = quality.memorisation, quality_name(quality, results)
        if quality.image_quality is None:
            sentences.append(f"{name}: a mixer copies voxels of training cases by design, so copies are not counted.")
            continue
        if not found.detects_copies:
            sentences.append(f"{name}: the check missed copies planted on purpose, so it cannot rule out memorisation.")
            continue
        near = max((found.pixels, found.features), key=lambda measure: (measure.caught >= 0.95, measure.near)).near
        share = f"{near * 100:.0f} % of its images are unusually close to a training image; by chance it would be 5 %."
        sentences.append(f"{name}: {share} {_why_close(quality, near)}")
    return sentences


def _why_close(quality: Quality, near: float) -> str:
    """What the share means, and why it can be high without memorisation."""
    if near <= 0.05:
        return "This is no sign of copying."
    if quality.compose is not Composition.TRANSLATED:
        return "Edited images keep most voxels of a training image by design."
    if quality.public:
        return "This may be copying."
    return "Label maps of training cases alone make images similar to them."


def limit_sentences(results: Results) -> list[str]:
    """Say which data the scores are from and what they do not cover."""
    study = results.study
    lines = []
    if study.cohort.simulated:
        lines.append(
            f"Simulated cohort: these are not clinical numbers. The images of {study.cohort.name} come from a "
            "simulator; do not compare their scores with clinical ones."
        )
    else:
        about = f"{study.cohort.name}: {study.cohort.about} " if study.cohort.about else ""
        lines.append(f"{about}Scores are on the test cases of {study.cohort.name}; they may differ on another cohort.")
    if study.external:
        count, kind = study.external.cases, "simulated" if study.external.simulated else "real"
        noun = "case" if count == 1 else "cases"
        few = "; so few cases can only hint at a direction" if count < FEWEST_CASES else ""
        lines.append(f"External: {count} {kind} {noun} of {study.external.name}, not used in any training{few}.")
    for kind, source in study.public.items():
        left = f"; {source.left_out} of validation or test cases were excluded" if source.left_out else ""
        if source.own:
            lines.append(
                f"Lesion masks: those of {source.used} training cases of {source.folder}, also where an arm does not "
                f"have the image{left}."
            )
        else:
            lines.append(f"Public {kind}: {source.used} from {source.folder}{left}.")
    if study.synthesis_saw == "all training cases":
        lines.append(
            "The generator and the translators were trained on all training cases, not only on those of the arm."
        )
    if len(study.seeds) > 1 and (trained := _seeds_of_translators(results)):
        lines.append(
            "Each translator was trained once for all seeds. The intervals cover variation between trainings of the "
            "segmenter, but not of the translator."
            if min(map(len, trained)) == 1
            else "Each translator was trained anew for each seed, so the intervals cover variation between its "
            "trainings."
        )
    if study.start:
        lines.append(f"The segmenters of all arms began with the weights of the run {study.start}.")
    if study.preset == "smoke":
        lines.append(
            "The preset smoke only tests that a study runs, with very few training steps: scores of 0.0 are normal."
        )
    return [*lines, *validation_sentences(results), RULE]


def validation_sentences(results: Results) -> list[str]:
    """Say at which steps the weights of the segmenters were chosen; empty if they were not chosen."""
    steps = [run.chosen_step for run in results.runs if run.chosen_step is not None]
    if not steps:
        return []
    count = _count(results.study.validation_cases, "validation case")
    budget = results.study.steps["segmenter"]
    sentence = (
        f"Each segmenter has the averaged weights of its best evaluation on {count} during training: step "
        f"{statistics.median_low(steps):,} of {budget:,} in the median ({min(steps):,} to {max(steps):,})."
    )
    return [sentence]


def _seeds_of_translators(results: Results) -> list[set[int]]:
    """The seeds that each translator was trained with; untrained ones do not count."""
    seeds: dict[tuple[str, int], set[int]] = {}
    for run in results.runs:
        if run.role == "translator" and run.steps > 0:
            seeds.setdefault((run.architecture, run.cases), set()).add(run.seed)
    return list(seeds.values())


def _numbers(contrast: Contrast) -> str:
    over = f"over {_count(contrast.cases, 'test case')} and {_count(contrast.seeds, 'seed')}"
    if contrast.low is None:
        return (
            f"{signed(contrast.difference)} Dice points {over}, too few cases for an interval ({FEWEST_CASES} needed)"
        )
    label = "95 % interval" if contrast.over == "cases and seeds" else "95 % interval over cases only"
    p = f"; adjusted p {p_value(contrast.adjusted_p)}" if contrast.adjusted_p is not None else ""
    return f"{signed(contrast.difference)} Dice points, {label} {interval(contrast)}, {over}{p}"


def _headroom_sentence(room: Headroom, named: bool) -> str:
    who = f" ({room.segmenter})" if named else ""
    cases = f"all {room.all_cases} cases compared with {room.cases}"
    start = f"Headroom{who}, clinical only, {cases}: {_numbers(room.contrast)}"
    if room.contrast.low is None:
        return f"{start}, so this study cannot show any gain."
    if room.contrast.below_zero:
        return f"{start}; more clinical cases gave a lower score, so this budget cannot show any gain."
    if not room.contrast.above_zero:
        return (
            f"{start}; the interval includes 0, so this budget cannot show any gain; "
            "run 'strokereg headroom' to find a number of steps that can."
        )
    return f"{start}; an estimate of the most that more data can add at this budget."


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")

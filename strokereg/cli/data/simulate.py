"""`strokereg data simulate`: a simulated cohort with exact lesion masks."""

from __future__ import annotations

import json
from pathlib import Path

import click

from strokereg.cli.data.split import parts_option
from strokereg.cli.values import goes_on


@click.command(
    epilog="Example: strokereg data simulate --cases 60 --out cohorts/soop60 --labels label_maps --lesions lesions_mni"
)
@click.option("--cases", type=int, required=True, help="Number of subjects, at least 5.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Cohort folder to make or to continue.")
@click.option(
    "--labels", type=click.Path(path_type=Path), help="Folder of FreeSurfer-coded label maps.  [default: MNI152]"
)
@click.option(
    "--lesions",
    type=click.Path(path_type=Path),
    help="Folder of lesion masks in MNI space.  [default: grown at random]",
)
@click.option("--seed", type=int, default=0, show_default=True, help="The same seed gives the same voxels.")
@parts_option
@click.option("--workers", type=int, help="Number of processes.  [default: one per core]")
@click.option("--json", "as_json", is_flag=True, help="Print a summary as JSON on stdout.")
@goes_on
def simulate(
    cases: int,
    out: Path,
    labels: Path | None,
    lesions: Path | None,
    seed: int,
    parts: tuple[int, int, int],
    workers: int | None,
    as_json: bool,
) -> None:
    """Simulate a cohort with exact lesion masks.

    The cohort has DWI, ADC and label maps, computed from anatomy, lesion and diffusion physics. A second call makes
    only the cases that are missing.
    """
    from strokereg.cli.output.progress import counting
    from strokereg.core.simulate import Simulation, simulate_cohort
    from strokereg.core.simulate.folder import summarise

    with counting("simulating") as on_progress:
        simulation = Simulation(cases, labels=labels, lesions=lesions, seed=seed, parts=parts)
        simulate_cohort(out, simulation, workers, on_progress)
    summary = summarise(out)
    if as_json:
        click.echo(json.dumps(summary))
        return
    click.echo(
        f"{summary['cases']} simulated cases in {out}: median lesion {summary['median_lesion_ml']:.1f} ml, "
        f"lesion {summary['median_dwi_ratio']:.2f} × as bright as the rest of the brain, "
        f"second reader's Dice {summary['mean_reader_dice']:.2f}",
        err=True,
    )
    click.echo(str(out))

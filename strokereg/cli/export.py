"""`strokereg export`: files for deployment, from a run folder."""

from __future__ import annotations

import json
from pathlib import Path

import click

from strokereg.cli.values import Names


@click.command(
    epilog="Examples: strokereg export runs/unet --format onnx,torchscript,pt2 · "
    "strokereg export runs/unet --format scan,web · strokereg export runs/unet --precision fp32,int8 · "
    "strokereg export strokereg-study --arm 'pix2pix, clinical + synthetic' · "
    "strokereg export runs/fold-1 runs/fold-2 runs/fold-3 --out ensemble · "
    "strokereg export --check unet.onnx"
)
@click.argument("places", type=click.Path(path_type=Path), nargs=-1, metavar="[RUN|STUDY]...")
@click.option("--arm", help="With STUDY: the arm, by name or by parts of it: 'pix2pix, n = 10'.")
@click.option("--ensemble", is_flag=True, help="With STUDY: all seeds of the arm as one file, by the mean probability.")
@click.option("--seed", type=int, help="With STUDY: the seed.  [default: the best on the validation cases]")
@click.option(
    "--format",
    "formats",
    type=Names(),
    default="onnx",
    show_default=True,
    help="Formats, comma separated: onnx, torchscript, pt2, scan, or the folders triton, monai and web.",
)
@click.option(
    "--precision",
    "precisions",
    type=Names(),
    default="fp32",
    show_default=True,
    help="fp32, fp16, bf16 or int8, comma separated; below fp32 only ONNX, with its loss measured on validation cases.",
)
@click.option(
    "--force", is_flag=True, help="Write a lower precision even if its loss is too large; its metadata says so."
)
@click.option("--out", type=click.Path(path_type=Path), help="Folder for the files.  [default: RUN/export]")
@click.option(
    "--data", type=click.Path(path_type=Path), help="Cohort to measure parity on.  [default: the run's own cohort]"
)
@click.option(
    "--check",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write nothing; compare FILE with RUN, with the run in whose folder it is, or with the network outputs that "
    "it contains.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the results as JSON.")
def export(
    places: tuple[Path, ...],
    arm: str | None,
    ensemble: bool,
    seed: int | None,
    formats: tuple[str, ...],
    precisions: tuple[str, ...],
    force: bool,
    out: Path | None,
    data: Path | None,
    check: Path | None,
    as_json: bool,
) -> None:
    """Turn a finished run, or an arm of a study, into files that run without its training code.

    Each file holds normalisation, network and activation, and its metadata says how to use it. The command first
    compares it with the trained network on cases of a cohort. If the two differ, it writes nothing and the exit code
    is 1. Several runs of one recipe, with other seeds or folds, become one file that averages their probabilities.

    scan is one ONNX file from raw scan and affine to mask, for programs without strokereg. triton is a model
    repository for NVIDIA's server, monai a MONAI bundle, and web a static page that segments in the browser (npm
    fetches its two libraries, once).
    """
    from strokereg.export.files import read_bundle
    from strokereg.registry.errors import RunFailed

    failure: RunFailed | None = None
    chosen = _chosen(places, arm, seed, ensemble)
    if len(places) == 1 and len(chosen) > 1:
        out = out or places[0] / "export"  # of the study
    run = chosen[0] if len(chosen) == 1 else None
    if check is not None and len(chosen) > 1:
        raise click.UsageError("--check compares with one RUN; leave all out to use the outputs that FILE contains")
    if check is not None:
        from strokereg.export.check import check_export

        stored = read_bundle(check)
        found = check_export(check, run, data)
        more = [
            f"against {found.against}",
            f"stored at export: {stored.parity}" + (f"; {stored.gate}" if stored.gate else ""),
        ]
        measured = [(check, found.parity, found.gate, more)]
    elif not chosen:
        raise click.UsageError("give the RUN to export, or a file with --check FILE")
    else:
        from strokereg.export.exporter import PrecisionFailed
        from strokereg.export.run import export as export_run

        try:
            files = export_run(run or chosen, formats, out, data, precisions, force)
        except PrecisionFailed as error:
            files, failure = error.files, error
        if "scan" in formats or "web" in formats:
            click.echo(
                "The scan graph takes skull-stripped scans; only 'strokereg segment' extracts the brain.", err=True
            )
        bundles = [(file, read_bundle(file)) for file in files]
        measured = [(file, bundle.parity, bundle.gate, []) for file, bundle in bundles]
    if failure is not None and not measured:
        raise failure
    if as_json:
        content = [
            {
                "file": str(file),
                "parity": parity.model_dump(mode="json"),
                "gate": gate.model_dump(mode="json") if gate else None,
            }
            for file, parity, gate, _ in measured
        ]
        click.echo(json.dumps(content, indent=2))
    else:
        for file, parity, gate, more in measured:
            click.echo("\n  ".join([str(file), str(parity), *([str(gate)] if gate else []), *more]))
    if failure is not None:
        raise failure


def _chosen(places: tuple[Path, ...], arm: str | None, seed: int | None, ensemble: bool) -> list[Path]:
    """The run folders; where studies are given, those of an arm: one of each study, or those of all its seeds."""
    by_arm = arm is not None or seed is not None or ensemble
    if by_arm and not places:
        raise click.UsageError("--arm, --seed and --ensemble choose runs of a study; give its folder")
    if ensemble and seed is not None:
        raise click.UsageError("--ensemble takes all seeds; leave --seed out")
    return [run for place in places for run in _runs(place, arm, seed, ensemble, by_arm)]


def _runs(place: Path, arm: str | None, seed: int | None, ensemble: bool, by_arm: bool) -> list[Path]:
    if not by_arm and ((place / "run.json").is_file() or not place.is_dir()):
        return [place]
    from strokereg.core.study.store import TASKS, find_arm, runs_of_arm

    if not by_arm and not (place / TASKS).is_file():
        return [place]
    chosen = list(runs_of_arm(place, arm)) if ensemble else [find_arm(place, arm, seed)]
    click.echo(", ".join(path.name for path in chosen), err=True)
    return chosen

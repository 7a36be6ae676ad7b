"""`strokereg export`: a run folder → files that can be deployed."""

from __future__ import annotations

import json
from pathlib import Path

import click


@click.command(epilog="Example: strokereg export runs/unet --format onnx,torchscript")
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--format", "formats", default="onnx", show_default=True, help="onnx, torchscript, or both by comma.")
@click.option("--out", type=click.Path(path_type=Path), help="Folder for the files.  [default: RUN/export]")
@click.option(
    "--data", type=click.Path(path_type=Path), help="Cohort to measure parity on.  [default: the run's own cohort]"
)
@click.option("--check", type=click.Path(path_type=Path), help="Write nothing; measure this exported file again.")
@click.option("--json", "as_json", is_flag=True, help="Print what was done as JSON.")
def export(run: Path, formats: str, out: Path | None, data: Path | None, check: Path | None, as_json: bool) -> None:
    """Turn a finished run into files that run without its training code.

    Each file holds normalisation, network and activation, and says in its metadata how to use it. It is
    compared with the trained network on cases of a cohort first; where the two differ, no file is written and the
    exit code is 1.
    """
    from strokereg import api

    if check is not None:
        measured = {check: api.check_export(check, run, data=data)}
    else:
        files = api.export(run, formats=formats.split(","), out=out, data=data)
        measured = {file: api.read_bundle(file).parity for file in files}
    if as_json:
        click.echo(
            json.dumps([{"file": str(f), "parity": p.model_dump(mode="json")} for f, p in measured.items()], indent=2)
        )
        return
    for file, parity in measured.items():
        click.echo(f"{file}\n  {parity}")

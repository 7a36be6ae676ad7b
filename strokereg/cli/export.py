"""`strokereg export`: a run folder → files that can be deployed."""

from __future__ import annotations

import json
from pathlib import Path

import click

from strokereg.cli.values import Names


@click.command(
    epilog="Examples: strokereg export runs/unet --format onnx,torchscript,pt2 · "
    "strokereg export runs/unet --format scan,web · strokereg export runs/unet --precision fp32,int8 · "
    "strokereg export --check unet.onnx"
)
@click.argument("run", type=click.Path(path_type=Path), required=False)
@click.option(
    "--format",
    "formats",
    type=Names(),
    default="onnx",
    show_default=True,
    help="Of onnx, torchscript, pt2, scan, and the folders triton, monai, web, by comma.",
)
@click.option(
    "--precision",
    "precisions",
    type=Names(),
    default="fp32",
    show_default=True,
    help="Of fp32, fp16, bf16, int8, by comma; below fp32 as ONNX, after its loss on validation cases was measured.",
)
@click.option("--force", is_flag=True, help="Write a lower precision whose loss is too large; its metadata say so.")
@click.option("--out", type=click.Path(path_type=Path), help="Folder for the files.  [default: RUN/export]")
@click.option(
    "--data", type=click.Path(path_type=Path), help="Cohort to measure parity on.  [default: the run's own cohort]"
)
@click.option(
    "--check",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write nothing; measure FILE again: against RUN, else the run in whose folder it lies, else the network's "
    "answers that it carries.",
)
@click.option("--json", "as_json", is_flag=True, help="Print what was done as JSON.")
def export(
    run: Path | None,
    formats: tuple[str, ...],
    precisions: tuple[str, ...],
    force: bool,
    out: Path | None,
    data: Path | None,
    check: Path | None,
    as_json: bool,
) -> None:
    """Turn a finished run into files that run without its training code.

    scan is one ONNX file that takes a raw scan and its affine and gives the mask, for programs without strokereg;
    triton is a model repository for NVIDIA's server, monai a MONAI bundle, web a static page that segments in the
    browser (its two libraries are fetched by npm, once).

    Each file holds normalisation, network and activation, and says in its metadata how to use it. It is
    compared with the trained network on cases of a cohort first; where the two differ, no file is written and the
    exit code is 1.
    """
    from strokereg.export import deploy

    if check is not None:
        stored = deploy.read_bundle(check)
        parity, gate, against = deploy.check_export(check, run, data=data)
        told = [
            f"against {against}",
            f"stored at export: {stored.parity}" + (f"; {stored.gate}" if stored.gate else ""),
        ]
        measured = [(check, parity, gate, told)]
    elif run is None:
        raise click.UsageError("give the RUN to export, or a file with --check FILE")
    else:
        files = deploy.export(run, formats, out, data, precisions, force)
        bundles = [(file, deploy.read_bundle(file)) for file in files]
        measured = [(file, bundle.parity, bundle.gate, []) for file, bundle in bundles]
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
        return
    for file, parity, gate, told in measured:
        click.echo("\n  ".join([str(file), str(parity), *([str(gate)] if gate else []), *told]))

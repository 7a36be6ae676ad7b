"""`strokereg synthesize`: make images from label maps, or a synthetic cohort."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from strokereg.core.scan.view import Convention

_FILE = click.Path(path_type=Path)
_IMAGES = ("labels", "qc", "neurological", "overwrite", "backend", "as_json")
_COHORT = ("translator", "generator", "cohort", "count", "lesion_share", "anatomies")


@click.command(
    epilog="Examples: strokereg synthesize --model spade.onnx --labels cohort/ --out synthetic --seed 7 --qc · "
    "strokereg synthesize --translator runs/spade --generator runs/mask-gan --cohort cohorts/soop60 --n 1000 "
    "--out cohorts/synthetic"
)
@click.option("--out", type=_FILE, required=True, help="Folder for the images or the cohort.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Seed of all random numbers.")
@click.option("--model", type=_FILE, help="Images: an exported translator (.onnx).")
@click.option("--labels", type=_FILE, multiple=True, help="Images: label maps; files, folders, cohorts.")
@click.argument("more", type=_FILE, nargs=-1, metavar="[MORE LABELS]...")
@click.option("--qc", is_flag=True, help="Images: also save a picture of labels and image.")
@click.option("--neurological", is_flag=True, help="Images: draw pictures with the patient's left on the left.")
@click.option(
    "--overwrite", is_flag=True, help="Images: also replace files at the output that strokereg did not write."
)
@click.option("--backend", help="Images: auto, onnxruntime or openvino.  [default: auto]")
@click.option("--json", "as_json", is_flag=True, help="Images: print what was written as JSON.")
@click.option("--translator", type=_FILE, help="Cohort: run folder of a translator.")
@click.option("--generator", type=_FILE, help="Cohort: run folder of a generator.")
@click.option("--cohort", type=_FILE, help="Cohort: folder whose training cases give the anatomies.")
@click.option("--n", "count", type=click.IntRange(1), help="Cohort: number of cases.  [default: 1000]")
@click.option(
    "--lesion-share", type=click.FloatRange(0, 1), help="Cohort: share of slices with a lesion.  [default: 0.5]"
)
@click.option("--anatomies", type=_FILE, help="Cohort: FreeSurfer label maps to use as anatomies instead.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:N; for a cohort also mps.")
@click.pass_context
def synthesize(
    ctx: click.Context, out: Path, seed: int, model: Path | None, more: tuple[Path, ...], **asked: Any
) -> None:
    """Make images from label maps with an exported translator, or a synthetic cohort with two trained runs.

    Images need --model and --labels, but not torch. Each image has the grid of its label map; 0 means no signal and
    100 is the median of the brain. A JSON file beside each image marks it as synthetic and names the label map and
    the model. Label maps that cannot be used are listed at the end: exit code 1, or 2 if there was only one.

    A cohort needs --translator, --generator and --cohort. It is in BIDS format with the provenance of each case. Run
    the command again to make only the missing cases.
    """
    foreign = _COHORT if model else _IMAGES
    strangers = [param for param in ctx.command.params if param.name in foreign and asked[param.name]]
    if strangers or (more and not model):
        named = strangers[0].opts[0] if strangers else str(more[0])
        raise click.UsageError(f"{named} cannot be used {'with' if model else 'without'} --model; see --help")
    needed = ("labels",) if model else ("translator", "generator", "cohort")
    for name in needed:
        if not asked[name] and not (name == "labels" and more):
            other = "" if model else ", or --model and --labels for images of label maps"
            raise click.UsageError(f"--{name} is missing{other}")
    if model:
        _translate(ctx, model, [*asked["labels"], *more], out, seed, asked)
    else:
        given = {name: value for name in _COHORT if (value := asked[name]) is not None}
        _synthesize(out, seed, asked["device"], given)


def _translate(
    ctx: click.Context, model: Path, places: list[Path], out: Path, seed: int, asked: dict[str, Any]
) -> None:
    from strokereg.cli.output.findings import Findings
    from strokereg.export.runtime.translator import TranslateSettings, translate

    findings = Findings(asked["as_json"], places, lambda content: ", ".join(content["images"].values()))
    backend = asked["backend"] or "auto"
    convention = Convention.NEUROLOGICAL if asked["neurological"] else Convention.RADIOLOGICAL
    settings = TranslateSettings(seed, asked["qc"], asked["overwrite"], backend, asked["device"], convention)
    translate(model, places, out, settings, findings.callbacks())
    ctx.exit(findings.end())


def _synthesize(out: Path, seed: int, device: str, asked: dict[str, Any]) -> None:
    from strokereg.cli.output.progress import counting
    from strokereg.core.train.device import choose_device

    chosen = str(choose_device(device))
    click.echo(f"computing on {chosen}", err=True)
    with counting("synthesising") as on_progress:
        from strokereg.core.synthesis import synthesize

        made = synthesize.synthesize(out=out, seed=seed, on_progress=on_progress, device=chosen, **asked)
    click.echo(str(made))

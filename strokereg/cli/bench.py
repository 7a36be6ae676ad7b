"""`strokereg bench`: latency and throughput of a network with every engine, as ratios."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from strokereg.cli.values import Numbers


@click.command(epilog="Examples: strokereg bench runs/unet --threads 1 · strokereg bench unet.onnx --json")
@click.argument("target", type=click.Path(path_type=Path), metavar="BUNDLE|RUN")
@click.option("--rounds", type=click.IntRange(1), default=20, show_default=True, help="Number of calls of each engine.")
@click.option("--batch", type=click.IntRange(1), help="Items per batch.  [default: 16, in 3D 1]")
@click.option("--size", type=Numbers(), help="Size of an item, [Z,]Y,X.  [default: the size trained on]")
@click.option("--threads", type=click.IntRange(0), default=0, help="CPU threads.  [default: each engine's own choice]")
@click.option("--compile", "compiled", is_flag=True, help="Also time torch.compile, which warms up for a minute.")
@click.option("--json", "as_json", is_flag=True, help="Print the numbers as JSON.")
def bench(target: Path, as_json: bool, **settings: Any) -> None:
    """Time a network with PyTorch, TorchScript, onnxruntime and OpenVINO, in each exported precision.

    For a run, all engines are compared with eager PyTorch. For a file, its siblings in the folder (unet.int8.onnx,
    unet.pt …) are compared with it. Each round calls every engine once, so the ratios hold on a busy machine too; the
    milliseconds do not.
    """
    from strokereg.export.bench import bench as time_network
    from strokereg.export.verify.timing import BenchSettings

    timings = time_network(target, BenchSettings(**settings))
    if as_json:
        click.echo(timings.model_dump_json(indent=2))
        return
    wide = max(len(each.way) for each in timings.ways)
    click.echo(f"{'':{wide}}  one item   ratio  items/s  ratio")
    for each in timings.ways:
        click.echo(
            f"{each.way:{wide}}  {each.latency_ms:5.1f} ms  {each.latency_ratio:6.2f}"
            f"  {each.items_per_second:7.1f}  {each.throughput_ratio:5.2f}"
        )
    shape = "×".join(map(str, timings.size)) or "as trained"
    click.echo(
        f"{timings.architecture}, items of {shape}, batches of {timings.batch}; ratios above 1 are faster than "
        f"{timings.ways[0].way}, median of {timings.rounds} interleaved rounds",
        err=True,
    )
    for way, reason in timings.absent.items():
        click.echo(f"{way}: not timed ({reason})", err=True)

"""`strokereg bench`: a run or an exported file → latency and throughput by every way, as ratios."""

from __future__ import annotations

from pathlib import Path

import click

from strokereg.cli.values import Numbers


@click.command(epilog="Examples: strokereg bench runs/unet --threads 1 · strokereg bench unet.onnx --json")
@click.argument("target", type=click.Path(path_type=Path), metavar="BUNDLE|RUN")
@click.option("--rounds", type=click.IntRange(1), default=20, show_default=True, help="Calls of each way.")
@click.option("--batch", type=click.IntRange(1), help="Items of a batch.  [default: 16, in 3D 1]")
@click.option("--size", type=Numbers(), help="Of an item, [Z,]Y,X.  [default: the size trained on]")
@click.option("--threads", type=click.IntRange(0), default=0, help="Of the CPU.  [default: each engine's own choice]")
@click.option("--compile", "compiled", is_flag=True, help="Time torch.compile too; it warms up for a minute.")
@click.option("--json", "as_json", is_flag=True, help="Print the numbers as JSON.")
def bench(
    target: Path,
    rounds: int,
    batch: int | None,
    size: tuple[int, ...] | None,
    threads: int,
    compiled: bool,
    as_json: bool,
) -> None:
    """Time a network by eager and compiled PyTorch, TorchScript, onnxruntime and OpenVINO, in each precision exported.

    A run is compared with eager PyTorch, a file with itself: its siblings in the folder (unet.int8.onnx, unet.pt …)
    are timed beside it. Rounds go through all ways in turn, so the ratios hold on a busy machine too; the
    milliseconds do not.
    """
    from strokereg.export import timing

    timings = timing.bench(target, rounds, batch, size, threads, compiled)
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
        click.echo(f"{way}: not here ({reason})", err=True)

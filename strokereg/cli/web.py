"""`strokereg web`: a page on this computer that segments scans in the browser."""

from __future__ import annotations

import contextlib
from pathlib import Path

import click


@click.command(epilog="Examples: strokereg web · strokereg web --model unet.onnx --out page --no-serve")
@click.option(
    "--model",
    metavar="BUNDLE",
    help="Exported segmenter (.onnx), or a name of 'strokereg models --weights'.  [default: sim-dwi-adc]",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("strokereg-web"),
    show_default=True,
    help="Folder for the page; any web server can serve it.",
)
@click.option("--port", type=click.IntRange(0, 65535), default=8000, show_default=True, help="0 for any free one.")
@click.option("--no-serve", "serve", flag_value=False, default=True, help="Only write the page.")
def web(model: str | None, out: Path, port: int, serve: bool) -> None:
    """Write a web page that segments scans in the browser, and serve it to this computer alone.

    The scans stay in the browser. The page does not extract the brain: give it skull-stripped scans. npm fetches its
    two libraries, once. Ctrl-C stops the server; the page stays in its folder.

    Not a medical device: for research and engineering only.
    """
    from strokereg.export.targets.serve import PageServer, write_page

    write_page(out, model)
    if not serve:
        click.echo(out)
        return
    with PageServer(out, port) as server:
        click.echo(server.address)
        click.echo("Open this address in a browser; Ctrl-C stops.", err=True)
        with contextlib.suppress(KeyboardInterrupt):
            server.serve_forever()

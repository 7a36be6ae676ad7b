"""The output of commands that process many scans: one line per finished scan, failures at the end, or JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from strokereg.export.runtime.outputs import Callbacks
    from strokereg.export.runtime.scans import ScanFiles
    from strokereg.export.runtime.segmenter import Segmenter
    from strokereg.export.runtime.translator import Translator
    from strokereg.registry.errors import InputError


class Findings:
    """Collects the results of scans or label maps and prints them.

    Args:
        as_json: print one JSON text at the end instead of lines.
        places: files and folders of the command line. A failure of a single file ends the command, and its JSON is
            not a list.
        sentence: makes the line of a result from its JSON.
    """

    def __init__(self, as_json: bool, places: Sequence[Path], sentence: Callable[[dict[str, Any]], str]) -> None:
        self.as_json = as_json
        self.alone = len(places) == 1 and not places[0].is_dir()
        self.sentence = sentence
        self.done: list[dict[str, Any]] = []
        self.failed: list[tuple[ScanFiles, InputError]] = []

    def callbacks(self) -> Callbacks:
        """The callbacks for the runtime."""
        from strokereg.export.runtime.outputs import Callbacks

        return Callbacks(self._start, self._add, self._fail)

    def end(self) -> int:
        """Print the JSON and the failures.

        Returns:
            Exit code: 0, or 1 if a scan failed.
        """
        if self.as_json:
            failed = [{"name": scan.name, "reason": str(error)} for scan, error in self.failed]
            content = self.done[0] if self.alone else {"done": self.done, "failed": failed}
            click.echo(json.dumps(content, indent=2))
        if self.failed:
            total = len(self.done) + len(self.failed)
            click.echo(f"{len(self.failed)} of {total} could not be used:", err=True)
            for _, error in self.failed:
                click.echo(f"  {error}", err=True)
        return 1 if self.failed else 0

    def _start(self, model: Segmenter | Translator) -> None:
        bundle = model.bundle
        simulated = ", trained on simulated images" if bundle.training.simulated else ""
        reduced = "" if bundle.precision == "fp32" else f" in {bundle.precision}"
        click.echo(f"{bundle.architecture}{reduced} on {model.provider}{simulated}; not a medical device", err=True)

    def _add(self, content: dict[str, Any]) -> None:
        self.done.append(content)
        for warning in content.get("warnings", ()):
            click.echo(f"Warning: {warning}", err=True)
        if not self.as_json:
            click.echo(self.sentence(content))

    def _fail(self, scan: ScanFiles, error: InputError) -> None:
        if self.alone:
            raise error
        self.failed.append((scan, error))

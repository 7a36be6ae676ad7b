"""What commands that work through many scans tell: a line each as it is done, failures at the end, or JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from strokereg.export.metadata import Bundle
    from strokereg.export.runtime.scans import ScanFiles
    from strokereg.registry.errors import InputError


class Findings:
    """Collects and tells.

    Args:
        as_json: one JSON text on stdout at the end instead of lines.
        alone: one file was asked for; its failure is the command's own, and its JSON is no list.
    """

    def __init__(self, as_json: bool, alone: bool) -> None:
        self.as_json = as_json
        self.alone = alone
        self.done: list[dict[str, Any]] = []
        self.failed: list[tuple[ScanFiles, InputError]] = []

    def start(self, bundle: Bundle, provider: str) -> None:
        """Say what runs, on what, and what it is not."""
        simulated = ", trained on simulated images" if bundle.training.simulated else ""
        reduced = "" if bundle.precision == "fp32" else f" in {bundle.precision}"
        click.echo(f"{bundle.architecture}{reduced} on {provider}{simulated}; not a medical device", err=True)

    def add(self, content: dict[str, Any], sentence: str) -> None:
        """A scan is done."""
        self.done.append(content)
        if not self.as_json:
            click.echo(sentence)

    def fail(self, scan: ScanFiles, error: InputError) -> None:
        """A scan is wrong input."""
        if self.alone:
            raise error
        self.failed.append((scan, error))

    def end(self) -> int:
        """Tell what is left to tell.

        Returns:
            Exit code: 0, or 1 where a scan failed.
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

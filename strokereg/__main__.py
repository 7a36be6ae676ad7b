"""`python -m strokereg`."""

from strokereg.cli.main import run

run()

"""Draw the picture of a report for the documentation: its head, the table of results and the first pictures.

Needs Chromium. Usage: python tools/draw_report.py strokereg-study docs/images/report.png
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

_WIDTH, _HEIGHT = 1220, 1460  # pixels
_SHOWN = """<style>
  html { scroll-behavior: auto; }
  nav, .aside, section:not(#result, #pictures), .sheet ~ .sheet, #pictures > div > .caption { display: none; }
</style></head>"""


def main(study: Path, target: Path) -> None:
    """Draw a copy of the report from which the other sections are hidden."""
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if chromium is None:
        raise SystemExit("no chromium, chromium-browser or google-chrome on PATH; install Chromium")
    page = (study / "report.html").read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as folder:
        copy, drawn = Path(folder, "report.html"), Path(folder, "report.png")
        copy.write_text(page.replace("</head>", _SHOWN, 1), encoding="utf-8")
        words = [
            "--headless",
            "--no-sandbox",
            "--hide-scrollbars",
            "--disable-gpu",
            f"--user-data-dir={folder}/profile",
        ]
        words += [f"--window-size={_WIDTH},{_HEIGHT}", f"--screenshot={drawn}", copy.as_uri()]
        subprocess.run([chromium, *words], check=True, capture_output=True)
        with Image.open(drawn) as picture:
            picture.convert("RGB").save(target, optimize=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))

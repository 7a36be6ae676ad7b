"""The documentation builds as a site: every link and reference leads somewhere, nothing comes from elsewhere."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ELSEWHERE = re.compile(
    r"""<(?:script|img|iframe)[^>]*src="https?:|<link[^>]*(?:stylesheet|preconnect)[^>]*href="https?:"""
)


@pytest.mark.slow
def test_the_site_builds_without_a_warning(tmp_path):
    words = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path)]
    quiet = {"NO_MKDOCS_2_WARNING": "1"}  # of the theme, about a later mkdocs
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, env=os.environ | quiet)
    assert done.returncode == 0, done.stderr
    pages = {page.name: page.read_text(encoding="utf-8") for page in tmp_path.glob("*.html")}
    assert {f"{page.stem}.html" for page in (ROOT / "docs").glob("*.md")} <= set(pages)
    assert "strokereg_translators" in pages["reference.html"]
    assert not [name for name, text in pages.items() if ELSEWHERE.search(text)]

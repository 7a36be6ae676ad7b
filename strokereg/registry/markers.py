"""The two marks that pluggy looks for: `@hookimpl` for plugin authors, `@hookspec` for `registry.hooks`."""

from __future__ import annotations

import pluggy

PROJECT = "strokereg"  # pluggy's project name, the entry-point group and the prefix of every hook

hookimpl = pluggy.HookimplMarker(PROJECT)
hookspec = pluggy.HookspecMarker(PROJECT)

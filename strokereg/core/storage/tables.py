"""Read tables of tab-separated columns, as editors and spreadsheets of every system save them."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from strokereg.registry.errors import FileFault


def read_table(path: Path, columns: Sequence[str]) -> list[dict[str, str]]:
    """Rows of a table, each as column → text without spaces around it. Rows without any text are left out.

    A byte order mark and the line ends of every system are read.

    Args:
        path: the table, whose first row has the names of its columns.
        columns: those that it must have.

    Raises:
        FileFault: the file cannot be read, is not UTF-8 text, has other separators than tabs, or lacks a column.
    """
    fix = f"give tab-separated columns {' and '.join(repr(column) for column in columns)}"
    try:
        with path.open(newline="", encoding="utf-8-sig") as handle:
            reader = csv.DictReader(handle, delimiter="\t")
            names = [name.strip() for name in reader.fieldnames or ()]
            reader.fieldnames = names
            rows = [{name: (row[name] or "").strip() for name in names} for row in reader]
    except OSError as error:
        raise FileFault(path, f"cannot be read ({error.strerror})", "check its name and its permissions") from error
    except UnicodeDecodeError as error:
        raise FileFault(path, "is not UTF-8 text", "save it again as tab-separated text in UTF-8") from error
    except csv.Error as error:
        raise FileFault(path, f"cannot be read as a table ({error})", fix) from error
    if missing := [column for column in columns if column not in names]:
        separator = next((mark for mark in ";,|" if len(names) == 1 and mark in names[0]), None)
        fault = f"its columns are separated by {separator!r}" if separator else f"has no column {missing[0]!r}"
        raise FileFault(path, fault, fix)
    return [row for row in rows if any(row.values())]

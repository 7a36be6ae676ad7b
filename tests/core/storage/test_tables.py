"""Tables as editors and spreadsheets save them."""

from __future__ import annotations

import pytest

from strokereg.core.storage.tables import read_table
from strokereg.registry.errors import FileFault

ROWS = [{"participant_id": "sub-01", "split": "train"}, {"participant_id": "sub-02", "split": "test"}]
TEXT = "participant_id\tsplit\nsub-01\ttrain\nsub-02\ttest\n"


@pytest.mark.parametrize(
    "content",
    {
        "plain": TEXT.encode(),
        "byte order mark": TEXT.encode("utf-8-sig"),
        "Windows": TEXT.replace("\n", "\r\n").encode(),
        "old Macintosh": TEXT.replace("\n", "\r").encode(),
        "spaces": TEXT.replace("\t", " \t ").encode(),
        "quotes": TEXT.replace("sub-01", '"sub-01"').encode(),
        "no last line end": TEXT.strip().encode(),
        "empty rows": TEXT.replace("\n", "\n\t\n\n").encode(),
        "more columns": TEXT.replace("\n", "\tx\n").encode(),
    }.items(),
    ids=lambda item: item[0],
)
def test_every_form_is_read(tmp_path, content):
    (tmp_path / "a.tsv").write_bytes(content[1])
    rows = read_table(tmp_path / "a.tsv", ("participant_id", "split"))
    assert [{name: row[name] for name in ROWS[0]} for row in rows] == ROWS


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (TEXT.replace("\t", ";").encode(), "its columns are separated by ';'; give tab-separated columns"),
        (TEXT.replace("\t", ",").encode(), "its columns are separated by ','"),
        (TEXT.encode("utf-16"), "is not UTF-8 text; save it again"),
        (TEXT.replace("train", "träin").encode("latin-1"), "is not UTF-8 text"),
        (TEXT.replace("split", "part").encode(), "has no column 'split'"),
        (b"", "has no column 'participant_id'"),
    ],
)
def test_other_files_are_one_sentence(tmp_path, content, fault):
    (tmp_path / "a.tsv").write_bytes(content)
    with pytest.raises(FileFault, match=fault):
        read_table(tmp_path / "a.tsv", ("participant_id", "split"))

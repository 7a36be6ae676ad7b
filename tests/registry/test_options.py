"""Option tables: strings become values, and every mistake is one sentence."""

from __future__ import annotations

import pytest
from pydantic import Field, ValidationError

from strokereg.registry.errors import InputError
from strokereg.registry.options import Options, parse


class Table(Options):
    rate: float = Field(default=0.1, gt=0)
    widths: tuple[int, ...] = (4, 8)
    fast: bool = False


def test_strings_become_values():
    table = parse(Table, {"rate": "1e-4", "fast": "true", "widths": [2, 3]}, "net")
    assert (table.rate, table.fast, table.widths) == (1e-4, True, (2, 3))
    assert parse(Table, {"widths": "2,3"}, "net").widths == (2, 3)
    assert parse(Table, {"widths": "16"}, "net").widths == (16,)
    assert parse(Table, {}, "net") == Table()


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"width": 1}, r"net has no option 'width' \(did you mean widths\?\); its options are: rate, widths, fast"),
        ({"rate": "fast"}, "net: option rate='fast'"),
        ({"rate": 0}, "net: option rate=0: Input should be greater than 0"),
        ({"widths": [1, "x"]}, r"net: option widths\.1='x'"),
    ],
)
def test_mistakes_are_one_sentence(values, said):
    with pytest.raises(InputError, match=said) as error:
        parse(Table, values, "net")
    assert "\n" not in str(error.value)


def test_a_table_cannot_change_later():
    with pytest.raises(ValidationError):
        Table().rate = 1.0

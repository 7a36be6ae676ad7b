"""How a failure is described, and what a check declares."""

from __future__ import annotations

import pytest

from strokereg.registry.errors import InputError
from strokereg.registry.specs import ROLES
from strokereg.testing.check import CHECKS, Broken, describe, require


def test_an_error_says_where_it_arose(suite, faults):
    """In the author's own file: not in torch where it came out, nor in the kit."""
    lines = (faults / "acme_faults.py").read_text().splitlines()
    line = next(number for number, text in enumerate(lines, 1) if "F.avg_pool2d" in text)
    tried = suite("EvenOnly")
    assert f"(acme_faults.py, line {line}). Fix: " in tried.outcome(CHECKS["odd-sizes"]).message


def test_errors_for_users_are_quoted_and_others_named():
    assert describe(InputError("wrong size; pad it\nmore")) == "wrong size; pad it"
    assert describe(Broken("")) == "Broken"
    assert describe(ValueError("odd")) == "ValueError: odd"


def test_require_raises_what_was_observed():
    require(True, "fine")
    with pytest.raises(Broken, match="three rows"):
        require([], "three rows")


@pytest.mark.parametrize("check", CHECKS.values(), ids=list(CHECKS))
def test_every_check_has_a_rule_a_fix_and_known_needs(check):
    assert check.rule
    assert check.fix
    assert set(check.roles) <= set(ROLES)
    for name in check.needs:
        assert set(check.roles) <= set(CHECKS[name].roles)

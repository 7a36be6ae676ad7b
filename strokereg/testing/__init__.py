"""The conformance kit: checks that an architecture follows the contract of its role.

In the tests of a plugin::

    from strokereg.testing import parametrize_with_checks


    @parametrize_with_checks("mynet", options={"width": 4})
    def test_conformance(check):
        check()

`strokereg check mynet` runs the same checks and prints a table. `CHECKS` lists every rule with its fix.
"""

from strokereg.testing.check import CHECKS, Broken, Check
from strokereg.testing.conformance import suites_of
from strokereg.testing.marks import BoundCheck, parametrize, parametrize_with_checks
from strokereg.testing.run import Outcome, Suite
from strokereg.testing.subject import Subject

__all__ = [
    "CHECKS",
    "BoundCheck",
    "Broken",
    "Check",
    "Outcome",
    "Subject",
    "Suite",
    "parametrize",
    "parametrize_with_checks",
    "suites_of",
]

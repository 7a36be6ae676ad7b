"""The conformance kit: does an architecture keep the contract of its role?

For the tests of a plugin::

    from strokereg.testing import parametrize_with_checks


    @parametrize_with_checks("mynet", options={"width": 4})
    def test_conformance(check):
        check()

`strokereg check mynet` prints the same as a table. Every built-in passes; `CHECKS` holds each rule with its mend.
"""

from strokereg.testing.check import CHECKS, Broken, Check
from strokereg.testing.marks import BoundCheck, parametrize, parametrize_with_checks
from strokereg.testing.named import suites_of
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

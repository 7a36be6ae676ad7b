"""`residual-dense` passes the conformance checks of a translator."""

from strokereg.testing import parametrize_with_checks


@parametrize_with_checks("residual-dense", options={"width": 4, "growth": 4, "layers": 2, "blocks": 1, "ndf": 4})
def test_conformance(check):
    check()

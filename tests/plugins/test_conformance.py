"""Every built-in keeps the contract that it asks of strangers."""

from __future__ import annotations

import pytest

from strokereg.testing import CHECKS, suites_of

DEVICE = CHECKS["stays-on-its-device"]
NEVER = "a training step never waits for the device"
#: Looks at label maps in NumPy, for a few batches; it is not trained.
ON_THE_HOST = "mask-library"


def test_a_built_in_conforms(check):
    check()
    if check.check is DEVICE:
        message = check.suite.outcome(DEVICE).message
        assert (message == NEVER) != (check.suite.subject.spec.name == ON_THE_HOST), message


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("mask-gan", {"ngf": 4, "ndf": 4, "volume": True}),
        ("spade-hinge", {"ngf": 4, "ndf": 4, "hidden": 4, "encoder": True, "l1": 1.0}),
        ("dynunet", {"filters": 4, "residual": True, "supervision": False}),
        ("random-contrast", {"lesion_bright": True}),
    ],
)
def test_other_options_stay_on_the_device_too(name, options):
    for suite in suites_of(name, options=options, edge=16):
        assert DEVICE.run(suite.subject) == NEVER

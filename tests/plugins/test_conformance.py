"""Every built-in keeps the contract that it asks of strangers."""

from __future__ import annotations


def test_a_built_in_conforms(check):
    check()

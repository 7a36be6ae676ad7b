"""Bringing the cases of another folder into a cohort: named, transferred, checked, described."""

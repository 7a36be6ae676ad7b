"""Checks of a cohort: one small function for each fault (`rules`), applied to every case (`inspect`)."""

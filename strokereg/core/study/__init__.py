"""The study: the grid of arms that `strokereg compare` runs, evaluates and reports.

`settings` says what is asked, `plan` turns it into trainings, `work` does one of them, `executor` spreads them
over processes, `collect` reads what came out.
"""

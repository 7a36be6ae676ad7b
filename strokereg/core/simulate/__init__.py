"""The simulator: anatomy × lesion × diffusion physics → a cohort with exact truth."""

from strokereg.core.simulate.cohort import RECIPE, simulate_cohort

__all__ = ["RECIPE", "simulate_cohort"]

"""The simulator: anatomy × lesion × diffusion physics → a cohort with exact truth."""

from strokereg.core.simulate.cohort import SIMULATOR_VERSION, simulate_cohort

__all__ = ["SIMULATOR_VERSION", "simulate_cohort"]

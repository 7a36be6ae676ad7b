"""The simulator: anatomy, lesion and diffusion physics give a cohort with exact lesion masks."""

from strokereg.core.simulate.cohort import SIMULATOR_VERSION, Simulation, simulate_cohort

__all__ = ["SIMULATOR_VERSION", "Simulation", "simulate_cohort"]

"""What can be wrong with a cohort: one small function a fault (`rules`), looked for in every case (`inspect`)."""

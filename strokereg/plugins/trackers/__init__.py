"""Built-in experiment trackers. Each needs an optional library."""

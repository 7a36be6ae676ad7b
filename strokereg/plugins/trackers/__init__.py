"""Built-in experiment trackers, each over one library that is an extra."""

"""Where the brain is in a scan."""

"""Cohort readers: each recognises one folder layout and lists its cases. One layout a file."""

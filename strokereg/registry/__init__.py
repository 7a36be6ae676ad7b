"""Finds architectures: hook specifications, plugin loading with quarantine, the catalogue. No torch at import."""

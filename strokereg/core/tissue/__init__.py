"""Tissue label maps for scans that come without: from DWI and ADC, or merged from another tool's codes."""

"""Built-in readers, one file for each folder layout."""

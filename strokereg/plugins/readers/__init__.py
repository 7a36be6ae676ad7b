"""The built-in readers: one folder layout a file. Each recognises its layout and lists its cases."""

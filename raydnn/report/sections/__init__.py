"""The sections of the report of a run: each function makes one of its material."""

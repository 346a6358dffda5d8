"""Where readings come from, a folder per source=NAME. May import process, config and core."""

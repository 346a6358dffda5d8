"""MongoDB, a file per collection. May import process, config and core."""

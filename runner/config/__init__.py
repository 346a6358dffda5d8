"""YAML to a checked Config, a file per group of conf/. May import core."""

"""From a command line to an exit code; the only folder that runs Hydra. May import all others."""

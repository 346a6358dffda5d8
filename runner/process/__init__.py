"""What a running job has at hand: secrets, logs, signals, terminal. May import config and core."""

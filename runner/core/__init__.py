"""The pure core: no I/O, no clock, no Hydra. Everything here is a function of its arguments."""

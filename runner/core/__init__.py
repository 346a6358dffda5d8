"""Pure rules of hours, readings, indices, plans: no I/O, no clock, no Hydra. Imports no folder."""

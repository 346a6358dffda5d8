"""Notebooks about a finished run, and pages made of them.

Everything here reads the files of a run directory (`runner.quality` says which) and draws. Nothing
decides: the verdict and the exit code are made before, and survive whatever happens here.
"""

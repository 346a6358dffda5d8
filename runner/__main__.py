"""`python -m runner`."""

from runner.cli import script

if __name__ == "__main__":
    script()

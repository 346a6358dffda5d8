"""`python -m runner`, and the console script `runner`."""

import os
import signal

# Until the stop of `runner.process.stop` is in place there is nothing to save: end without a word,
# rather than with a traceback out of some import.
for _signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    if _signum != signal.SIGHUP or signal.getsignal(_signum) != signal.SIG_IGN:  # nohup
        signal.signal(_signum, lambda signum, _frame: os._exit(128 + signum))

from runner.cli.main import script  # noqa: E402 - the handlers come first

__all__ = ["script"]

if __name__ == "__main__":
    script()

#!/usr/bin/python3
"""The process in which plugins run; spec/plugins.md has what it is told, on descriptor 3."""

import os
import sys

_HERE = os.path.dirname(os.path.realpath(__file__))
if _HERE not in sys.path:
    sys.path.insert(0, _HERE)


def run():
    """The process's status is that of the host. Neither threads that a plugin has started nor what it has registered keep it
    from its end."""
    from buildstream._host.main import main

    status = 1
    try:
        status = main(_HERE)
    finally:
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except Exception:  # A plugin may have put anything in its place.
                pass
        os._exit(status)


# Processes that a plugin starts by the package multiprocessing import this file under another name.
if __name__ == "__main__":
    run()

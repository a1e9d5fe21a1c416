#!/usr/bin/python3
"""The process in which plugins run; spec/plugins.md has what it is told, on descriptor 3."""

import os
import sys

_HERE = os.path.dirname(os.path.realpath(__file__))
if _HERE not in sys.path:
    sys.path.insert(0, _HERE)

from buildstream._host.main import main  # noqa: E402

# Neither threads that a plugin has started nor what it has registered keep the host from its end.
_status = 1
try:
    _status = main(_HERE)
finally:
    for _stream in (sys.stdout, sys.stderr):
        try:
            _stream.flush()
        except Exception:  # A plugin may have put anything in its place.
            pass
    os._exit(_status)

"""Where plugins' messages go: to the asker while work is done, with the answer while projects are loaded."""

import os
import sys
from _thread import allocate_lock, start_new_thread
from time import process_time

# Seconds between signs of life, and the processor time in between that is one.
PULSE = 15
_LEAST = 0.001

_open = False  # whether a request is under way: nobody listens otherwise
_send = None  # the function that sends a map to the asker
_working = False  # whether a job's work is done; otherwise a question is answered
_warnings = None  # warnings of the question that is answered
_silent = 0  # how many blocks that silence what is in them are open
_id = 0
_programs = 0  # how many programs that plugins have called are running


def start(send):
    """Has messages sent by a function."""
    global _send
    _send = send


def begin(working):
    """A question or an action begins: nothing was said yet."""
    global _open, _working, _warnings, _silent
    _open = True
    _working = working
    _warnings = []
    _silent = 0


def end():
    """What threads that a plugin has left behind say from now on is dropped."""
    global _open
    _open = False


def warnings():
    """What was warned of since begin(), where that is part of an answer."""
    return _warnings


def answers():
    """Whether projects are loaded, and not a job's work is done."""
    return not _working


def next_id():
    """A number that no other plugin has."""
    global _id
    _id += 1
    return _id


def message(level, text, detail, name=None):
    """Says something; what a silent block says below the level of information is dropped."""
    if not _open or _silent and level in ("debug", "status"):
        return
    _send({"is": "message", "level": level, "text": str(text), "detail": None if detail is None else str(detail), "name": name})


def warn(text, detail, name):
    """Warns: in the answer while projects are loaded, where the asker decides what a warning is, at once otherwise."""
    if _working:
        message("warn", text, detail, name)
    else:
        _warnings.append({"name": name, "text": str(text), "detail": None if detail is None else str(detail)})


def log(text, detail):
    """Writes a line into the log."""
    try:
        sys.stderr.write("{}\n{}".format(text, detail + "\n" if detail else ""))
        sys.stderr.flush()
    except (OSError, ValueError, AttributeError):
        pass  # The plugin has closed it, or put something else in its place.


def log_descriptor():
    """Where programs that plugins run write to."""
    try:
        os.fstat(2)
        return 2
    except OSError:
        return -3  # subprocess.DEVNULL


class Program:
    """A block in which a program of a plugin's runs."""

    def __enter__(self):
        global _programs
        _programs += 1

    def __exit__(self, kind, error, traceback):
        global _programs
        _programs -= 1


class Pulse:
    """A block of work. A download or a program may take longer than the asker waits for who says nothing: while either
    goes on, it is told. What only waits, for a server that sends nothing, is no sign of life."""

    def __enter__(self):
        self.ended = allocate_lock()
        self.ended.acquire()
        start_new_thread(self._beat, ())

    def __exit__(self, kind, error, traceback):
        self.ended.release()

    def _beat(self):
        before = process_time()
        while not self.ended.acquire(timeout=PULSE):
            now = process_time()
            if (now - before > _LEAST or _programs) and _open:
                _send({"is": "message", "level": "debug", "text": "Still at work", "detail": None, "name": None})
            before = now


class Activity:
    """A block whose begin and end the asker hears of."""

    def __init__(self, text, detail=None, silent_nested=False):
        self.text = text
        self.detail = detail
        self.silent_nested = silent_nested
        self.said = False

    def __enter__(self):
        global _silent
        self.said = _open and _working and not _silent
        if self.said:
            detail = None if self.detail is None else str(self.detail)
            _send({"is": "begin", "text": str(self.text), "detail": detail, "silent": bool(self.silent_nested)})
        if self.silent_nested:
            _silent += 1

    def __exit__(self, kind, error, traceback):
        global _silent
        if self.silent_nested:
            _silent -= 1
        if self.said:
            _send({"is": "end", "success": kind is None})


class Silence:
    """A block in which only information and warnings are heard."""

    def __enter__(self):
        global _silent
        _silent += 1

    def __exit__(self, kind, error, traceback):
        global _silent
        _silent -= 1

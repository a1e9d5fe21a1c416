"""Trees of files that tests remove while sluice-sync, which outlives its session, may still write into the cache."""

import os
import shutil
import time


def remove_tree(path, onerror=lambda *_: None, timeout=60):
    """Removes what is at `path`, again as long as another process adds to it; what is left at the deadline is an error."""
    deadline = time.monotonic() + timeout
    while os.path.lexists(path):
        shutil.rmtree(path, onerror=onerror if time.monotonic() < deadline else None)

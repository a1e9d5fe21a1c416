"""Calls: what the host asks of its asker while it works for an element, and the errors that come back."""

from _thread import get_ident

from .._exceptions import LoadError, PluginError, SandboxError

_ask = None  # the function that sends a map and gives what comes back; None while nothing may be asked
_thread = None  # the thread that works
_asking = False
_directory = None
_names = 0


def begin(ask, directory):
    """Has calls made from this thread, with a directory for what they exchange."""
    global _ask, _thread, _directory
    _thread = get_ident()
    _ask = ask
    if directory is not None:
        _directory = directory


def end():
    """Calls are refused from now on."""
    global _ask
    _ask = None


def call(name, /, **fields):
    """Asks for something: the map that is returned. What the asker can't do is the exception that BuildStream has for it."""
    global _asking
    if _ask is None:
        raise PluginError("What needs a sandbox or artifacts was called where there is no job: {}".format(name), reason="not-in-a-job")
    # Signal handlers and what Python finalizes between two steps run in the same thread.
    if get_ident() != _thread or _asking:
        raise PluginError("Sandboxes and artifacts can only be used by the thread that works: {}".format(name), reason="not-the-thread")
    _asking = True
    try:
        said = _ask({"is": "call", "call": name, **fields})
    finally:
        _asking = False
    if said["do"] == "raise":
        raise _error(said)
    return said


def new_name():
    """A name that nothing in the directory has."""
    global _names
    _names += 1
    return "{}".format(_names)


def path_of(name):
    """Where what has a name is for the host."""
    return "{}/{}".format(_directory, name)


def _error(said):
    domain, message = said.get("domain"), said.get("message")
    reason, detail = said.get("reason") or None, said.get("detail") or None
    if domain == "element":
        from ..element import ElementError

        error = ElementError(message, detail=detail, reason=reason)
    elif domain == "virtual-fs":
        from ..storage.directory import DirectoryError

        error = DirectoryError(message, reason=reason)
        error.detail = detail
    elif domain == "sandbox" and reason in ("command-failed", "missing-command"):
        from ..sandbox.sandbox import SandboxCommandError

        error = SandboxCommandError(message, detail=detail, reason=reason)
    elif domain == "sandbox":
        error = SandboxError(message, detail=detail, reason=reason)
    elif domain == "load" and (found := _load_reason(reason)) is not None:
        error = LoadError(message, found, detail=detail)
    else:
        error = PluginError(message, reason=reason, detail=detail)
    error.temporary = bool(said.get("temporary"))
    error._place = said.get("place")
    return error


def _load_reason(reason):
    from ..exceptions import LoadErrorReason

    return LoadErrorReason.__members__.get(str(reason).upper().replace("-", "_"))

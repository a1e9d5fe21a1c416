"""What plugins look at (H5), so that the asker knows when an answer that it kept is no answer any more.

Files that are opened and directories that are listed are seen by an audit hook, questions about paths and variables by
functions in the place of the system's. What was read stays read as long as the host lives: modules, and what they keep in
variables, are used by later questions without another look.
"""

import os
import posix
import sys

_seen = {}  # (what, path): None, in order
_directory = None  # the working directory, once somebody has left it
_watching = False
_own = ()  # prefixes of what is Python's, or the host's
_modules = 0
_before = frozenset()  # names of modules that were there before: Python's own start, and the host


class _Environment(type(os.environ)):
    """The environment, which notes who looks into it."""

    def __getitem__(self, key):
        note("environment", key)
        return super().__getitem__(key)

    def __contains__(self, key):
        note("environment", key)
        return super().__contains__(key)

    def __iter__(self):
        # Who takes all depends on each that is there; one that comes later is not seen.
        for key in super().__iter__():
            note("environment", key)
            yield key


def start(own):
    """Begins to note; `own` are directories whose files are left out."""
    global _own, _watching, _before
    _before = frozenset(sys.modules)
    _own = tuple(directory.rstrip("/") + "/" for directory in own)
    environment = os.environ
    os.environ = _Environment(
        environment._data, environment.encodekey, environment.decodekey, environment.encodevalue, environment.decodevalue
    )
    for name in ("stat", "lstat", "access", "readlink"):
        setattr(os, name, _asking(getattr(posix, name)))
    sys.addaudithook(_hook)
    _watching = True


def pause():
    """Stops noting: the host itself looks at something. Returns what resume() wants."""
    global _watching
    before = _watching
    _watching = False
    return before


def resume(before):
    """Notes again."""
    global _watching
    _watching = before


def _asking(function):
    def ask(path, *args, **options):
        if _watching and type(path) is not int and options.get("dir_fd") is None:
            note("exists", path)
        return function(path, *args, **options)

    ask.__name__ = function.__name__
    ask.__doc__ = function.__doc__
    # shutil and others ask what the functions of os can do by looking for them in these sets.
    for abilities in (os.supports_dir_fd, os.supports_follow_symlinks, os.supports_fd, os.supports_effective_ids):
        if function in abilities:
            abilities.add(ask)
    return ask


def note(what, path):
    """Notes one thing; paths become absolute."""
    if not _watching:
        return
    try:
        if what != "environment":
            path = os.fsdecode(path)
            if not path.startswith("/"):
                path = posix.getcwd() + "/" + path if path else ""
            if not path or _is_own(path):
                return
            if "/." in path or "//" in path or path.endswith("/"):
                path = os.path.normpath(path)
        elif type(path) is not str:
            path = os.fsdecode(path)
    except (TypeError, ValueError, OSError):
        return
    _seen[what, path] = None


def _is_own(path):
    if not (path + "/").startswith(_own):
        return path.endswith(".pyc")
    # Where packages lie in a directory of Python's library, they are no part of it.
    return "/site-packages/" not in path and "/dist-packages/" not in path


def _hook(event, arguments):
    if event == "open":
        path, mode, flags = arguments
        if type(path) is int or not _watching:
            return
        if type(flags) is int and (flags & os.O_WRONLY or flags & os.O_EXCL):
            return  # It is written, or made.
        note("file", path)
    elif event == "os.listdir" or event == "os.scandir":
        path = arguments[0]
        if type(path) is not int:
            note("directory", "." if path is None else path)
    elif event == "os.chdir":
        global _directory
        if _directory is None:
            _directory = posix.getcwd()


def go_back():
    """Undoes what a plugin did to the working directory."""
    global _directory
    if _directory is not None:
        directory = _directory
        try:
            os.chdir(directory)
        finally:
            _directory = None


def module_files():
    """Files of modules that are no part of Python or of the host."""
    files = []
    for name, module in list(sys.modules.items()):
        if name in _before:
            continue
        path = getattr(module, "__file__", None)
        if type(path) is str and path.startswith("/") and not _is_own(path):
            files.append(path)
    return files


def take():
    """All that was read."""
    global _modules
    if len(sys.modules) != _modules:
        _modules = len(sys.modules)
        for path in module_files():
            _seen["file", path] = None
    return [[what, path] for what, path in _seen]

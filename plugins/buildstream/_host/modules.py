"""Modules of plugins: found where the asker says, loaded once."""

import os
import posix
import sys

from .._exceptions import PluginError
from . import reads

_BASES = {"source": ("source", "Source"), "element": ("element", "Element"), "mirror": ("sourcemirror", "SourceMirror")}
_NAMES = {"source": "source", "element": "element", "mirror": "source-mirror"}

_classes = {}  # (type, file, module): the class, or the error with its traceback
_stamps = {}  # file that was read: when it was written, and its size
_packages = {}  # directory: the name of the package that its plugins are in


class _Refusing:
    """Says of BuildStream's own modules, and of those of version 1, what they are."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        if name.startswith("buildstream."):
            raise ModuleNotFoundError(
                "'{}' is private to BuildStream, and is not provided to plugins by Sluice".format(name), name=name
            )
        return None


def start():
    """Has plugins' imports go through here."""
    sys.meta_path.append(_Refusing)
    # Python has listed directories before anybody looked. Listed again, they are among what was read by who doesn't find a
    # module there.
    sys.path_importer_cache.clear()


def load(type_name, kind, file, root, module):
    """The class of a plugin."""
    key = type_name, file, module
    found = _classes.get(key)
    if found is None:
        try:
            found = _load(type_name, kind, file, root, module)
        except BaseException as error:
            # What failed once fails for all that want it, without another try.
            found = error, error.__traceback__
            raise
        finally:
            _classes[key] = found
    if type(found) is tuple:
        raise found[0].with_traceback(found[1])
    return found


def changed():
    """Whether a file that was read has changed since: modules, and what they keep, may be of another one."""
    return any(_stamp(path) != stamp for path, stamp in _stamps.items())


def _stamp(path):
    try:
        status = posix.stat(path)
        return status.st_mtime_ns, status.st_size, status.st_ino
    except OSError:
        return None


def remember():
    """Takes the stamps of all files that were read by now."""
    for what, path in reads.take():
        if what == "file" and path not in _stamps:
            _stamps[path] = _stamp(path)


def _load(type_name, kind, file, root, module):
    from .. import utils

    what = _NAMES[type_name]
    try:
        loaded = _module(file, root, module)
    except ImportError as error:
        raise PluginError("Failed to load {} plugin '{}': {}".format(what, kind, error)) from error
    try:
        cls = loaded.setup()
    except AttributeError as error:
        raise PluginError(
            "{} plugin '{}' did not provide a setup() function".format(what, kind), reason="missing-setup-function"
        ) from error
    except TypeError as error:
        raise PluginError(
            "setup symbol in {} plugin '{}' is not a function".format(what, kind), reason="setup-is-not-function"
        ) from error
    base_module, base_name = _BASES[type_name]
    __import__("buildstream." + base_module)
    base = getattr(sys.modules["buildstream." + base_module], base_name)
    if not isinstance(cls, type):
        raise PluginError(
            "{} plugin '{}' returned something that is not a type (expected subclass of {})".format(what, kind, what),
            reason="setup-returns-not-type",
        )
    if not issubclass(cls, base):
        raise PluginError(
            "{} plugin '{}' returned type '{}', which is not a subclass of {}".format(what, kind, cls.__name__, base.__name__),
            reason="setup-returns-bad-type",
        )
    if cls.BST_MIN_VERSION is None:
        raise PluginError(
            "{} plugin '{}' did not specify BST_MIN_VERSION".format(what, kind),
            reason="missing-min-version",
            detail="Are you trying to use a BuildStream 1 plugin with a BuildStream 2 project ?",
        )
    try:
        major, minor = utils._parse_version(cls.BST_MIN_VERSION)
    except utils.UtilError as error:
        raise PluginError(
            "{} plugin '{}' specified malformed BST_MIN_VERSION: {}".format(what, kind, cls.BST_MIN_VERSION),
            reason="malformed-min-version",
            detail="BST_MIN_VERSION must be specified as 'MAJOR.MINOR' with numeric major and minor minimum required version numbers",
        ) from error
    ours = utils.get_bst_version()
    if major != ours[0]:
        raise PluginError(
            "{} plugin '{}' requires BuildStream {}, but is being loaded with BuildStream {}".format(what, kind, major, ours[0]),
            reason="incompatible-major-version",
            detail="You will need to find the correct version of this plugin for your project.",
        )
    if minor > ours[1]:
        raise PluginError(
            "{} plugin '{}' requires BuildStream {}, but is being loaded with BuildStream {}.{}".format(
                what, kind, cls.BST_MIN_VERSION, *ours
            ),
            reason="incompatible-minor-version",
            detail="Please upgrade to BuildStream {}".format(cls.BST_MIN_VERSION),
        )
    return cls


def _module(file, root, module):
    from importlib import import_module

    if "." in module:
        # A package: found as Python finds it, below its root. What it imports by full names is found there, too.
        if root not in sys.path:
            sys.path.append(root)
        return import_module(module)
    return import_module("{}.{}".format(_package(root, file), module))


def _package(root, file):
    """The package that stands for a directory of plugins, so that they can import each other relatively."""
    name = _packages.get(root)
    if name is None:
        from types import ModuleType

        name = "_sluice_plugins_{}".format(len(_packages))
        package = ModuleType(name)
        package.__path__ = [root]
        sys.modules[name] = package
        _packages[root] = name
    return name

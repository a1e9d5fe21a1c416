"""Errors with a domain and a reason. The enumerations of exceptions.py are imported when somebody asks, since the
import of enum costs more than an answer."""


class _Member:
    """An attribute that holds a member of an enumeration, or the name of one until it is read."""

    def __init__(self, enumeration):
        self.enumeration = enumeration

    def __set_name__(self, owner, name):
        self.slot = "_" + name

    def __get__(self, error, owner=None):
        if error is None:
            return self
        value = getattr(error, self.slot)
        if type(value) is _Name:
            from . import exceptions

            value = getattr(exceptions, self.enumeration)[value.text]
            setattr(error, self.slot, value)
        return value

    def __set__(self, error, value):
        setattr(error, self.slot, value)


class _Name:
    __slots__ = ("text",)

    def __init__(self, text):
        self.text = text


def _member_text(value):
    """How the protocol spells a domain or a reason: `invalid-data` for INVALID_DATA, texts as they are."""
    if value is None or type(value) is str:
        return value
    name = value.text if type(value) is _Name else getattr(value, "name", None)
    return name.lower().replace("_", "-") if isinstance(name, str) else str(value)


class BstError(Exception):
    """What all errors of BuildStream derive from."""

    domain = _Member("ErrorDomain")
    reason = _Member("LoadErrorReason")

    def __init__(self, message, *, detail=None, domain=None, reason=None, temporary=False):
        super().__init__(message)
        self.detail = detail
        self.sandbox = False
        self.temporary = temporary
        self.domain = domain
        self.reason = reason
        self._place = None  # [file, line, column] of what is wrong, where it is known


class PluginError(BstError):
    """Something in a plugin, or in how it is used, is wrong."""

    def __init__(self, message, *, reason=None, detail=None, temporary=False):
        super().__init__(message, domain=_Name("PLUGIN"), detail=detail, reason=reason, temporary=temporary)


class LoadError(BstError):
    """What a project says is wrong. The reason is a LoadErrorReason, or the name of one."""

    def __init__(self, message, reason, *, detail=None, place=None):
        super().__init__(message, detail=detail, domain=_Name("LOAD"), reason=_Name(reason) if type(reason) is str else reason)
        self._place = place


class ImplError(BstError):
    """A plugin lacks a method that it must have."""

    def __init__(self, message, reason=None):
        super().__init__(message, domain=_Name("IMPL"), reason=reason)


class SandboxError(BstError):
    """A sandbox could not do what it was told."""

    def __init__(self, message, detail=None, reason=None):
        super().__init__(message, detail=detail, domain=_Name("SANDBOX"), reason=reason)


class UnsupportedError(PluginError, AttributeError):
    """A plugin reached for something that BuildStream has, and this host has not. It is an AttributeError too, so
    that hasattr() and getattr() with a default behave as they do for what isn't there."""

    def __init__(self, message):
        super().__init__(message, reason="unsupported-by-host")


def _unsupported(what):
    return UnsupportedError("{} is private to BuildStream, and is not provided to plugins by Sluice".format(what))

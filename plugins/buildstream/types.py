"""Types that several parts of the plugin API share."""


class MetaFastEnum(type):
    """Makes each plain attribute of a class an instance of that class, with a name and a value."""

    def __new__(mcs, name, bases, attributes):
        if name == "FastEnum":
            return type.__new__(mcs, name, bases, attributes)
        assert len(bases) == 1, "FastEnum: multiple inheritance is not supported"
        members = {}
        rest = {}
        for key, value in attributes.items():
            if key.startswith("__") and key.endswith("__"):
                assert key != "__class__", "FastEnum: __class__ cannot be overridden"
                rest[key] = value
            else:
                assert key not in bases[0].__dict__, "FastEnum: '{}' cannot be overridden".format(key)
                members[key] = value
        values = list(members.values())
        assert len(set(values)) == len(values), "FastEnum: values of {} are not unique".format(name)
        assert len({type(value) for value in values}) <= 1, "FastEnum: values of {} are of different types".format(name)
        cls = type.__new__(mcs, name, bases, rest)
        table = {}
        for key, value in members.items():
            member = object.__new__(cls)
            object.__setattr__(member, "name", key)
            object.__setattr__(member, "value", value)
            type.__setattr__(cls, key, member)
            table[value] = member
        type.__setattr__(cls, "_value_to_entry", table)
        return cls

    def __setattr__(cls, key, value):
        raise AttributeError("FastEnum: values cannot be added")

    def __iter__(cls):
        return iter(cls._value_to_entry.values())

    def __repr__(cls):
        return "<fastenum '{}'>".format(cls.__name__)


class FastEnum(metaclass=MetaFastEnum):
    """An enumeration that is looked up and compared quickly."""

    name = None
    value = None
    _value_to_entry = {}

    @classmethod
    def values(cls):
        """The values of all members."""
        return cls._value_to_entry.keys()

    def __new__(cls, value):
        if isinstance(value, cls):
            return value
        try:
            return cls._value_to_entry[value]
        except (KeyError, TypeError):
            raise ValueError("Unknown enum value: {}".format(value)) from None

    def __eq__(self, other):
        return self is other if self.__class__ is other.__class__ else NotImplemented

    def __ne__(self, other):
        return self is not other if self.__class__ is other.__class__ else NotImplemented

    def __hash__(self):
        return hash(id(self))

    def __str__(self):
        return str(self.value)

    def __reduce__(self):
        return self.__class__, (self.value,)

    def __repr__(self):
        return "<{}.{}: {}>".format(self.__class__.__name__, self.name, self.value)


class CoreWarnings:
    """Warnings that plugins may give under BuildStream's own names."""

    OVERLAPS = "overlaps"
    UNSTAGED_FILES = "unstaged-files"
    REF_NOT_IN_TRACK = "ref-not-in-track"
    UNALIASED_URL = "unaliased-url"
    UNAVAILABLE_SOURCE_INFO = "unavailable-source-info"


class OverlapAction(FastEnum):
    """What is done about files that are there already."""

    ERROR = "error"
    WARNING = "warning"
    IGNORE = "ignore"


class _Scope(FastEnum):
    """Which dependencies are meant."""

    ALL = 1
    BUILD = 2
    RUN = 3
    NONE = 4


def __getattr__(name):
    # The import of typing costs more than an answer, and few need this one.
    if name == "SourceRef":
        from typing import Any, Dict, List, Union

        return Union[None, int, str, List[Any], Dict[str, Any]]
    raise AttributeError("module 'buildstream.types' has no attribute '{}'".format(name))

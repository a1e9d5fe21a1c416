"""Sources of elements, as elements see them while they are built."""

from .._exceptions import UnsupportedError
from ..node import MappingNode
from ..source import SourceInfo, SourceInfoMedium, SourceVersionType
from .calls import call


class ElementSource:
    """A source, of which is known what it is and where it comes from. The plugin that it is runs elsewhere, or is none."""

    def __init__(self, said):
        self.__kind = said["kind"]
        self.__info = said["info"]

    def get_kind(self):
        """Its kind."""
        return self.__kind

    def collect_source_info(self):
        """Where its parts come from."""
        for part in self.__info:
            provenance = part.get("provenance")
            node = MappingNode.from_dict(dict(provenance)) if provenance else None
            yield SourceInfo(
                part.get("kind") or self.__kind,
                part["url"],
                None if node is None else node.get_str("homepage", None),
                None if node is None else node.get_str("issue-tracker", None),
                node,
                _member(SourceInfoMedium, part["medium"]),
                _member(SourceVersionType, part["version_type"]),
                part["version"],
                version_guess=part.get("guess") or None,
                extra_data=part.get("extra") or None,
            )

    def __getattr__(self, name):
        raise UnsupportedError("{} of an element's source is not provided to plugins of elements by Sluice".format(name))


def _member(enumeration, value):
    return enumeration(value) if value in enumeration.values() else value


def sources_of(artifact):
    """The sources of a dependency, or those of the element itself (None)."""
    for said in call("sources", element=artifact)["sources"]:
        yield ElementSource(said)

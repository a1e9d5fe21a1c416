"""Mirrors whose URLs a plugin works out."""

from ._exceptions import BstError, ImplError, _Name
from .plugin import Plugin


class SourceMirrorError(BstError):
    """What mirrors raise when something is wrong."""

    def __init__(self, message, *, detail=None, reason=None, temporary=False):
        super().__init__(message, detail=detail, domain=_Name("SOURCE"), reason=reason)


class SourceMirror(Plugin):
    """Base of mirrors."""

    BST_MIN_VERSION = "2.2"

    def __init__(self, context, project, node):
        kind = node.get_str("kind", "default")
        if kind == "default":
            config = node
        else:
            node.validate_keys(["name", "kind", "config"])
            config = node.get_mapping("config", {})
        super().__init__(node.get_str("name"), context, project, node, "source-mirror")
        self.__aliases = set()
        self._configure(config)

    def set_supported_aliases(self, aliases):
        """Says which aliases the mirror has; to be called in configure()."""
        assert self._get_configuring(), "Aliases of a mirror can only be set while it is configured"
        self.__aliases.update(aliases)

    def translate_url(self, *, alias, alias_url, source_url, extra_data):
        """The URL at this mirror of what follows an alias in a source's URL; mirrors have their own."""
        raise ImplError("source mirror plugin '{}' does not implement translate_url()".format(self.get_kind()))

    def _supported_aliases(self):
        return [str(alias) for alias in self.__aliases]

    def _get_alias_uris(self, alias):
        assert self.__aliases, "The mirror did not set its aliases while it was configured"
        return [self] if alias in self.__aliases else []

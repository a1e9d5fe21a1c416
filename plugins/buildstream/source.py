"""Sources: what elements are made from."""

from . import utils
from ._exceptions import BstError, ImplError, LoadError, PluginError, _Name
from ._host import session
from .node import MappingNode, ScalarNode
from .plugin import Plugin
from .types import CoreWarnings, FastEnum


class SourceError(BstError):
    """What sources raise when something is wrong. A temporary error may not come again when it is tried again."""

    def __init__(self, message, *, detail=None, reason=None, temporary=False):
        super().__init__(message, detail=detail, domain=_Name("SOURCE"), reason=reason, temporary=temporary)


class AliasSubstitution:
    """What stands in an alias's place for one attempt; plugins only hand it on."""

    __slots__ = ("_effective_alias", "_mirror")

    def __init__(self, effective_alias, mirror):
        self._effective_alias = effective_alias
        self._mirror = mirror


class SourceInfoMedium(FastEnum):
    """By what means a source was obtained."""

    WORKSPACE = "workspace"
    LOCAL = "local"
    REMOTE_FILE = "remote-file"
    GIT = "git"
    BAZAAR = "bzr"
    OCI_IMAGE = "oci-image"
    PYTHON_PACKAGE_INDEX = "pypi"


class SourceVersionType(FastEnum):
    """What a source's version is."""

    COMMIT = "commit"
    SHA256 = "sha256"
    CAS_DIGEST = "cas-digest"
    OCI_DIGEST = "oci-digest"
    INDEXED_VERSION = "indexed-version"


def _member_value(value):
    return str(value.value) if isinstance(value, FastEnum) else value


class SourceInfo:
    """Where something comes from; Source.create_source_info() makes it."""

    def __init__(
        self,
        kind,
        url,
        homepage,
        issue_tracker,
        provenance,
        medium,
        version_type,
        version,
        *,
        version_guess=None,
        extra_data=None,
    ):
        self.kind = kind
        self.url = url
        self.homepage = homepage
        self.issue_tracker = issue_tracker
        self.provenance = provenance
        self.medium = medium
        self.version_type = version_type
        self.version = version
        self.version_guess = version_guess
        self.extra_data = extra_data

    def serialize(self):
        """The same as plain data, without what there is none of."""
        result = {"kind": self.kind, "url": self.url}
        if self.provenance is not None:
            for key in ("homepage", "issue-tracker"):
                text = self.provenance.get_str(key, None)
                if text is not None:
                    result[key] = text
            result["provenance"] = self.provenance.strip_node_info()
        result["medium"] = _member_value(self.medium)
        result["version-type"] = _member_value(self.version_type)
        result["version"] = self.version
        if self.version_guess is not None:
            result["version-guess"] = self.version_guess
        if self.extra_data:
            result["extra-data"] = self.extra_data
        return result


class SourceFetcher:
    """One of several URLs that a source fetches from."""

    def __init__(self):
        self.__alias = None

    def fetch(self, alias_override=None, **kwargs):
        """Fetches from the URL; fetchers have their own. The override is for Source.translate_url()."""
        raise ImplError("SourceFetcher '{}' does not implement fetch()".format(type(self)))

    def get_source_info(self):
        """Where what is fetched comes from; None if the fetcher doesn't say."""
        return None

    def mark_download_url(self, url):
        """Says which URL the fetcher uses; to be called when it is made."""
        self.__alias = _extract_alias(url)

    def _get_alias(self):
        return self.__alias


class Source(Plugin):
    """Base of sources."""

    BST_CUSTOM_SOURCE_PROVENANCE = False
    """Whether the plugin itself says where each of its parts comes from."""

    BST_REQUIRES_PREVIOUS_SOURCES_TRACK = False
    """Whether track() needs what the sources before this one stage."""

    BST_REQUIRES_PREVIOUS_SOURCES_FETCH = False
    """Whether fetch() needs what the sources before this one stage."""

    BST_REQUIRES_PREVIOUS_SOURCES_STAGE = False
    """Whether stage() needs what the sources before this one stage."""

    BST_STAGE_VIRTUAL_DIRECTORY = False
    """Whether stage_directory() is called in the place of stage()."""

    COMMON_CONFIG_KEYS = ["kind", "directory", "provenance"]
    """Keys that all sources have; a plugin's are checked together with them."""

    def __init__(self, context, project, meta, variables, *, alias_override=None, unique_id=None):
        self.__meta = meta
        self.__provenance = meta.provenance
        super().__init__(
            "{}-{}".format(meta.element_name, meta.element_index), context, project, meta.node, "source", unique_id=unique_id
        )
        if meta.provenance is not None and self.BST_CUSTOM_SOURCE_PROVENANCE:
            raise SourceError(
                "{} Custom source provenance plugin: Refusing to use top level source provenance".format(self._get_provenance()),
                reason="top-level-provenance-on-custom-implementation",
            )
        self._directory = meta.directory
        self.__alias_override = alias_override
        self.__expected_alias = None
        self.__marked_urls = {}
        self.__mirror_directory = None
        self.__cached = None
        self.__config = meta.config.clone()
        self._configure(self.__config)

    # What plugins implement.

    def load_ref(self, node):
        """Reads the reference from a node that is not the source's configuration; plugins have their own."""
        raise ImplError("Source plugin '{}' does not implement load_ref()".format(self.get_kind()))

    def get_ref(self):
        """The reference, or None; plugins have their own."""
        raise ImplError("Source plugin '{}' does not implement get_ref()".format(self.get_kind()))

    def set_ref(self, ref, node):
        """Takes another reference, and writes it into a node; plugins have their own."""
        raise ImplError("Source plugin '{}' does not implement set_ref()".format(self.get_kind()))

    def track(self, *, previous_sources_dir=None):
        """The newest reference; None if there is nothing to track."""
        return None

    def fetch(self, *, previous_sources_dir=None):
        """Fetches what the reference names; plugins have their own, or fetchers."""
        raise ImplError("Source plugin '{}' does not implement fetch()".format(self.get_kind()))

    def stage(self, directory):
        """Puts the source into a directory; plugins have their own."""
        raise ImplError("Source plugin '{}' does not implement stage()".format(self.get_kind()))

    def stage_directory(self, directory):
        """As stage(), for plugins with BST_STAGE_VIRTUAL_DIRECTORY."""
        raise ImplError("Source plugin '{}' does not implement stage_directory()".format(self.get_kind()))

    def init_workspace(self, directory):
        """Puts the source into a directory where somebody will work on it."""
        self.stage(directory)

    def init_workspace_directory(self, directory):
        """As init_workspace(), for plugins with BST_STAGE_VIRTUAL_DIRECTORY."""
        self.stage_directory(directory)

    def get_source_fetchers(self):
        """A fetcher for each URL; none if fetch() does it."""
        return []

    def validate_cache(self):
        """Checks what was fetched, once, before it is staged."""

    def is_cached(self):
        """Whether what the reference names is here; plugins have their own."""
        raise ImplError("Source plugin '{}' does not implement is_cached()".format(self.get_kind()))

    def is_resolved(self):
        """Whether the source knows what exactly it stages."""
        return self.get_ref() is not None

    def collect_source_info(self):
        """Where the source comes from: what its fetchers say, or None with a warning."""
        found = [info for info in (fetcher.get_source_info() for fetcher in self.get_source_fetchers()) if info is not None]
        if found:
            return found
        self.warn(
            "{}: Source.collect_source_info() is not implemented in this plugin".format(self),
            warning_token=CoreWarnings.UNAVAILABLE_SOURCE_INFO,
        )
        return None

    # What plugins call.

    def get_mirror_directory(self):
        """The directory where sources of this kind keep what they fetch."""
        if self.__mirror_directory is None:
            self.__mirror_directory = self._get_context().mirror_directory(self.get_kind())
        return self.__mirror_directory

    def get_project_directory(self):
        """The directory of the source's project."""
        return self._get_project().directory

    def tempdir(self):
        """A directory below the mirror directory for the length of a block."""
        return utils._tempdir(dir=self.get_mirror_directory())

    def translate_url(self, url, *, alias_override=None, primary=True, suffix=None, extra_data=None):
        """A URL with what its alias stands for; it counts as marked."""
        self.mark_download_url(url, primary=primary)
        if suffix:
            url += suffix
        project = self._get_project()
        own = self.__alias_override
        if own is None and not alias_override:
            return project.translate_url(url, source=self)

        # A substitution that the source was made with is for one alias: URLs with other aliases stay what they are.
        alias, body = url.split(utils._ALIAS_SEPARATOR, 1)
        if own is not None and alias != own[0]:
            return url
        substitution = alias_override if own is None else own[1]
        if isinstance(substitution._mirror, str):
            return substitution._mirror + body
        return substitution._mirror.translate_url(
            alias=substitution._effective_alias,
            alias_url=project.get_alias_url(alias),
            source_url=body,
            extra_data=extra_data,
        )

    def mark_download_url(self, url, *, primary=True):
        """Says that the source will use a URL. All that the configuration names have to be marked in configure()."""
        alias = _extract_alias(url)
        if primary and not self.__alias_override:
            assert self.__expected_alias is None or self.__expected_alias == alias, (
                "Attempt to mark primary URL with {}, already marked with {}".format(alias, self.__expected_alias)
            )
            self.__expected_alias = alias
        if self._get_configuring():
            self.__marked_urls[url] = self.__marked_urls.get(url, False) or primary
        else:
            # Others than those of the configuration may turn up later, such as submodules'; but not with an alias.
            assert not alias or url in self.__marked_urls, "URL was not seen at configure time: {}".format(url)
        if not alias:
            if self._get_configuring() and session.answers():
                return  # The asker has the URLs, and what the user wants of such.
            self.warn("{}: Use of unaliased source download URL: {}".format(self, url), warning_token=CoreWarnings.UNALIASED_URL)
            return

        project = self._get_project()
        if not project.alias_exists(alias, source=self):
            raise SourceError("{}: Invalid alias '{}' specified in URL: {}".format(self, alias, url), reason="invalid-source-alias")
        for purpose, named, tracking in (("fetch", "fetch", False), ("track", "tracking", True)):
            if not project.get_alias_uris(alias, tracking=tracking):
                raise SourceError(
                    "{}: No {} URI found for alias '{}'".format(self, named, alias),
                    detail="Check {} controls in your user configuration".format(purpose),
                    reason="missing-source-alias-target",
                )

    def create_source_info(
        self, url, medium, version_type, version, *, version_guess=None, extra_data=None, provenance_node=None
    ):
        """Says where something comes from."""
        if provenance_node is None:
            provenance = self.__provenance
        else:
            provenance = provenance_node
            try:
                attributes = self._get_project().source_provenance_attributes
                if attributes is not None:
                    provenance.validate_keys(list(attributes))
            except LoadError as error:
                raise LoadError(
                    "Specified source provenance attribute not defined in project config\n {}".format(error),
                    "UNDEFINED_SOURCE_PROVENANCE_ATTRIBUTE",
                ) from None
            for key, node in provenance.items():
                if not isinstance(node, ScalarNode):
                    raise LoadError(
                        "{}: Expected string for the value of provenance attribute '{}'".format(node, key), "INVALID_DATA"
                    )
        return SourceInfo(
            self.get_kind(),
            url,
            None if provenance is None else provenance.get_str("homepage", None),
            None if provenance is None else provenance.get_str("issue-tracker", None),
            provenance,
            medium,
            version_type,
            version,
            version_guess=version_guess,
            extra_data=extra_data,
        )

    # What the host calls, and plugins here and there.

    def _get_local_path(self):
        return None

    def _own_provenance(self):
        return self.__provenance

    @property
    def _element_name(self):
        return self.__meta.element_name

    def _preflight(self):
        try:
            self.preflight()
        except BstError as error:
            wrapped = SourceError("{}: {}".format(self, error), reason=error.reason)
            wrapped._place = error._place
            raise wrapped from error

    def _get_unique_key(self):
        return self.get_unique_key()

    def _get_alias(self):
        alias = self.__expected_alias
        return alias if self._get_project().alias_exists(alias, source=self) else None

    def _marked(self):
        return self.__marked_urls

    def _load_ref(self):
        """Takes the reference from where the project keeps it, if not in the element. What the element has all the
        same is returned, since it has no effect."""
        stored = self.__meta.stored
        redundant = None
        if stored is None:
            return None
        if stored.clear:
            redundant = self.get_ref()
            if redundant is not None:
                self.set_ref(None, MappingNode.from_dict({}))
        if stored.node is not None:
            try:
                self.load_ref(stored.node)
            except ImplError as error:
                raise SourceError(
                    "{}: Storing refs in project.refs is not supported by '{}' sources".format(self, self.get_kind()),
                    reason="unsupported-load-ref",
                ) from error
        return redundant

    def _writes(self, ref):
        """Takes a reference: the keys that set_ref() has given a value, and those that it has removed, as None."""
        stored = self.__meta.stored
        if stored is None:
            before = self.__meta.config
        else:
            before = stored.node if stored.node is not None else MappingNode.from_dict({})
        after = before.clone()
        copies = dict(after.items())
        self.set_ref(ref, after)
        writes = {key: None for key in copies if key not in after}
        for key, node in after.items():
            old = copies.get(key)
            if old is not node or before.value[key].strip_node_info() != node.strip_node_info():
                writes[key] = node.strip_node_info()
        return writes

    def _is_cached(self):
        if self.__cached is None:
            assert self.is_resolved()
            self.__cached = False
            try:
                self.__cached = self.is_cached()
            except SourceError:
                raise
            except Exception as error:
                raise PluginError(
                    "Source plugin '{}' failed to check its cached state: {}".format(self.get_kind(), error), reason="source-bug"
                ) from error
        return self.__cached

    def _stage(self, directory):
        self.validate_cache()
        if self.BST_STAGE_VIRTUAL_DIRECTORY:
            self.stage_directory(_directory_of(directory))
        else:
            self.stage(directory)

    def _init_workspace(self, directory):
        self.validate_cache()
        if self.BST_STAGE_VIRTUAL_DIRECTORY:
            self.init_workspace_directory(_directory_of(directory))
        else:
            self.init_workspace(directory)

    def _track(self, previous):
        """The reference that the source has afterwards."""
        options = {"previous_sources_dir": previous} if self.BST_REQUIRES_PREVIOUS_SOURCES_TRACK else {}
        new = self.__do_track(options)
        current = self.get_ref()
        if new is None:
            new = current
        if new != current:
            self.info("Found new revision: {}".format(new))
        return new

    def __do_track(self, options):
        alias = self._get_alias()
        if not alias:
            return self.track(**options)
        failure = None
        # The alias's own URI, which is the last, is tracked first: mirrors may be behind.
        for substitution in reversed(self._get_project().get_alias_uris(alias, tracking=True)):
            source = self.__with(alias, substitution)
            try:
                return source.track(**options)
            except BstError as error:
                failure = error
        raise failure

    def _fetch(self, previous):
        options = {"previous_sources_dir": previous} if self.BST_REQUIRES_PREVIOUS_SOURCES_FETCH else {}
        with session.Silence():
            fetchers = self.get_source_fetchers()
        if fetchers:
            # Each is used before the next is asked for: what it has fetched may say what the next one is.
            fetchers = iter(fetchers)
            while True:
                with session.Silence():
                    fetcher = next(fetchers, None)
                if fetcher is None:
                    return
                self.__first(fetcher._get_alias(), fetcher.fetch)
        alias = self._get_alias()
        if not alias:
            self.fetch(**options)
        else:
            self.__first(alias, lambda substitution: self.__with(alias, substitution).fetch(**options))

    def __first(self, alias, fetch):
        """Fetches with each of an alias's URIs until one has it; the last failure is the one that is told."""
        failure = None
        for substitution in self._get_project().get_alias_uris(alias, tracking=False):
            try:
                fetch(substitution)
                return
            except BstError as error:
                failure = error
        raise failure

    def __with(self, alias, substitution):
        """Another one of this source, for which the alias stands for something else."""
        source = type(self)(
            self._get_context(),
            self._get_project(),
            self.__meta.with_config(self.__config),
            None,
            alias_override=(alias, substitution),
            unique_id=self._unique_id,
        )
        source._preflight()
        source._load_ref()
        return source


def _directory_of(path):
    from .storage._filebaseddirectory import FileBasedDirectory

    return FileBasedDirectory(path)


def _extract_alias(url):
    """What is before the first colon of a URL, unless it is a scheme."""
    alias, separator, _ = url.partition(utils._ALIAS_SEPARATOR)
    return alias if separator and alias.lower() not in utils._URI_SCHEMES else ""

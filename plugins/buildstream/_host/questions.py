"""Questions become plugins, and plugins answers."""

import importlib
import os

from .._exceptions import BstError, PluginError, _member_text
from ..node import MappingNode, Node, _File, _from_wire, _to_wire
from . import modules, session
from .keys import key_json
from .packing import Held
from .project import Context, Project

_FLAGS = {
    "source": (
        "BST_CUSTOM_SOURCE_PROVENANCE",
        "BST_REQUIRES_PREVIOUS_SOURCES_TRACK",
        "BST_REQUIRES_PREVIOUS_SOURCES_FETCH",
        "BST_REQUIRES_PREVIOUS_SOURCES_STAGE",
        "BST_STAGE_VIRTUAL_DIRECTORY",
        "BST_PLUGIN_DEPRECATED",
    ),
    "element": (
        "BST_STRICT_REBUILD",
        "BST_FORBID_RDEPENDS",
        "BST_FORBID_BDEPENDS",
        "BST_FORBID_SOURCES",
        "BST_RUN_COMMANDS",
        "BST_ELEMENT_HAS_ARTIFACT",
        "BST_PLUGIN_DEPRECATED",
    ),
    "mirror": ("BST_PLUGIN_DEPRECATED",),
}
_STEPS = ("stage", "assemble", "configure_sandbox", "generate_script", "prepare")


class _Texts:
    """The files of a question, and the trees that refer to them."""

    def __init__(self, said):
        self.files = [_File(name) for name in said.get("files") or ()]
        self.number = (said.get("place") or (-1,))[0]

    def tree(self, packed, *above):
        """A node that those of its file can be found from; `above` leads to it in the file that the question is about."""
        node = _from_wire(packed, self.files)
        for number, file in enumerate(self.files):
            file.roots.append((above if number == self.number else (), node))
        return node

    def place(self, packed):
        """A node without anything in it, for the place."""
        number, line, column = packed if packed else (-1, 0, 0)
        return MappingNode._new(self.files[number] if number >= 0 else None, line, column, {})


class _Stored:
    """The reference that a project keeps elsewhere than in the element."""

    __slots__ = ("clear", "node")


class _SourceMeta:
    __slots__ = ("element_name", "element_index", "directory", "provenance", "config", "node", "stored")

    def with_config(self, config):
        """The same with another configuration."""
        other = _SourceMeta()
        for name in self.__slots__:
            setattr(other, name, getattr(self, name))
        other.config = config
        return other


def source(said, project):
    """The source of a question: configured, with its reference, and checked."""
    texts = _Texts(said)
    cls = _class(said)
    meta = _SourceMeta()
    # A source's name has that of its element without the project's.
    meta.element_name = said["element"].rpartition(":")[2]
    meta.element_index = said.get("index") or 0
    meta.directory = said.get("directory")
    meta.config = texts.tree(said["config"], "sources", meta.element_index)
    meta.node = texts.place(said.get("place"))
    provenance = said.get("provenance")
    meta.provenance = None if provenance is None else texts.tree(provenance)
    stored = said.get("stored")
    meta.stored = None
    if stored is not None:
        meta.stored = _Stored()
        meta.stored.clear = bool(stored.get("clear"))
        node = stored.get("node")
        meta.stored.node = None if node is None else texts.tree(node)
    plugin = cls(Context(said["element"], said.get("mirror_directory")), project, meta, None)
    redundant = plugin._load_ref()
    if meta.element_index == 0 and (
        plugin.BST_REQUIRES_PREVIOUS_SOURCES_TRACK or plugin.BST_REQUIRES_PREVIOUS_SOURCES_FETCH
    ):
        from ..element import ElementError

        raise ElementError(
            "{} cannot be the first source of an element as it requires access to previous sources".format(plugin)
        )
    plugin._preflight()
    return plugin, redundant


def mirror(project, said):
    """The mirror that a project has a plugin for. It is of the project that says so, which may be one above."""
    if said.get("name") is not None:
        project = Project({"name": said["name"], "directory": said.get("directory")})
    texts = _Texts(said)
    cls = _class({**said, "type": "mirror"})
    node = texts.tree(said["config"])
    return cls(Context(None, None), project, node)


def _class(said):
    return modules.load(said["type"], said["kind"], said["file"], said["root"], said["module"])


class _Dependency:
    __slots__ = (
        "number", "name", "kind", "project", "normal_name", "build", "runtime", "path", "needs", "artifact", "key", "proxy"
    )  # fmt: skip


class _ElementMeta:
    def __init__(self, said, texts):
        junctions, colon, self.name = said["element"].rpartition(":")
        self._below = junctions + colon
        self.config = texts.tree(said["config"], "config")
        self.node = texts.place(said.get("place"))
        self._variables = self._environment = None
        self.sources = said.get("sources") or ()
        self._said = said
        self._texts = texts
        self._entries = None
        self._configurations = []

    def _of(self, key):
        said = self._said.get(key)
        return said.value() if isinstance(said, Held) else said

    @property
    def variables(self):
        if self._variables is None:
            self._variables = self._of("variables") or {}
        return self._variables

    @property
    def environment(self):
        if self._environment is None:
            self._environment = dict(self._of("environment") or {})
        return self._environment

    def changed_environment(self):
        """The environment, where somebody has changed it; None otherwise."""
        if self._environment is None or self._environment == self._of("environment"):
            return None
        return {str(name): str(value) for name, value in self._environment.items()}

    def public(self):
        """The public data."""
        return self.node_of(self._of("public"))

    def node_of(self, packed):
        """A tree that the asker has said."""
        return MappingNode.from_dict({}) if packed is None else self._texts.tree(packed)

    def said(self, key):
        """What the question says, where it says it."""
        return self._said.get(key)

    def dependencies(self, owner, proxy):
        """What the element depends on, each once."""
        from ..element import _get_normal_name

        entries = []
        known = {}
        numbered = []  # by their numbers in the question, in which one may come several times
        for said in self._said.get("dependencies") or ():
            key = said.get("project"), said["name"]
            entry = known.get(key)
            if entry is None:
                entry = known[key] = _Dependency()
                entry.number = len(entries) + 1
                entry.name = said["name"].rpartition(":")[2]
                entry.kind = said.get("kind")
                entry.project = said.get("project")
                entry.normal_name = _get_normal_name(entry.name)
                # By default a project names its dependencies as they are named from itself.
                entry.path = said.get("path") or said["name"].removeprefix(self._below)
                entry.needs = said.get("needs")
                entry.artifact = said.get("artifact")
                entry.key = said.get("key")
                entry.build = entry.runtime = False
                entry.proxy = proxy(owner, entry)
                entries.append(entry)
            numbered.append(entry)
            entry.build = entry.build or bool(said.get("build"))
            entry.runtime = entry.runtime or bool(said.get("runtime"))
            if said.get("build"):
                config = said.get("config")
                self._configurations.append((entry, None if config is None else self._texts.tree(config)))
        for entry in entries:
            if entry.needs is not None:
                entry.needs = [numbered[number] for number in entry.needs]
        return entries

    def configurations(self):
        """Build dependencies with what is said of them; one of which several things are said comes several times."""
        return self._configurations


def element(said, project):
    """The element of a question: configured, and checked."""
    cls = _class(said)
    meta = _ElementMeta(said, _Texts(said))
    plugin = cls(Context(said["element"], None), project, meta)
    plugin._host_check()
    return plugin


def answer(said, projects):
    """The answer to a question."""
    number = said.get("project")
    project = projects[number] if number is not None else None
    if said["type"] == "source":
        return _source_answer(*source(said, project))
    if said["type"] == "element":
        return _element_answer(element(said, project))
    if said["type"] == "mirror":
        return _mirror_answer(mirror(project, said))
    raise PluginError("There are no plugins of type '{}'".format(said["type"]), reason="host-protocol")


def _source_answer(plugin, redundant):
    resolved = bool(plugin.is_resolved())
    return {
        "key": key_json(plugin._get_unique_key()) if resolved else None,
        "resolved": resolved,
        "ref": _reference(plugin.get_ref()),
        "redundant": _reference(redundant),
        "urls": [{"url": url, "primary": primary} for url, primary in plugin._marked().items()],
        **_of_class("source", plugin),
        "warnings": session.warnings(),
    }


def _reference(ref):
    """A reference as texts, lists and maps: in Python some plugins have more in it, as flags."""
    if isinstance(ref, (bool, int, float)):
        return str(ref)
    if isinstance(ref, dict):
        return {str(key): _reference(value) for key, value in ref.items()}
    if isinstance(ref, (list, tuple)):
        return [_reference(item) for item in ref]
    if isinstance(ref, Node):
        return ref.strip_node_info()
    return ref


def _element_answer(plugin):
    cls = type(plugin)
    key = key_json(plugin.get_unique_key())
    public = plugin._host_public()
    return {
        "key": key,
        **_of_class("element", plugin),
        "artifact_version": plugin.BST_ARTIFACT_VERSION,
        "base": next(base.__name__ for base in cls.__mro__ if base.__module__.startswith("buildstream.")),
        "warnings": session.warnings(),
        "public": None if public is None else _to_wire(public, {}),
        "commands": [name for name in _STEPS if not _is_ours(cls, name)],
    }


def _mirror_answer(plugin):
    return {
        "aliases": plugin._supported_aliases(),
        **_of_class("mirror", plugin),
        "warnings": session.warnings(),
    }


def _is_ours(cls, name):
    """Whether a class has a method from BuildStream's classes, or not at all."""
    for base in cls.__mro__:
        if name in vars(base):
            return base.__module__.startswith("buildstream.")
    return True


_described = {}


def _of_class(type_name, plugin):
    """What the class of a plugin says, unless the plugin says otherwise of itself."""
    cls = type(plugin)
    found = _described.get(cls)
    if found is None:
        message = cls.BST_PLUGIN_DEPRECATION_MESSAGE
        found = _described[cls] = {
            "flags": [name for name in _FLAGS[type_name] if getattr(cls, name)],
            "min_version": cls.BST_MIN_VERSION,
            "deprecation": None if message is None else str(message),
        }
    if any(name.startswith("BST_") for name in vars(plugin)):
        found = {**found, "flags": [name for name in _FLAGS[type_name] if getattr(plugin, name)]}
    return found


def subject(said):
    """What of a request for work says whose plugin it is for."""
    if said["action"] == "translate":
        return {**said["project"]["mirrors"][said["mirror"]], "type": "mirror"}
    return said["question"]


def act(said):
    """Does the work of a source, or of a mirror."""
    action = said["action"]
    project = Project(said.get("project") or {})
    if action == "translate":
        return _translated(project, said)
    plugin, _ = source(said["question"], project)
    # BuildStream makes the key before anything is done with a source, and plugins keep what they find out for it.
    if plugin.is_resolved():
        plugin._get_unique_key()
    previous = said.get("previous")
    if action == "track":
        before = plugin.get_ref()
        ref = plugin._track(previous)
        # A plugin that has nothing to track is given no reference either.
        writes = plugin._writes(ref) if ref != before else {}
        writes = {key: _reference(value) for key, value in writes.items()}
        return {"ref": _reference(ref), "shown": None if ref is None else str(ref), "writes": writes}
    if action == "cached":
        return {"cached": bool(plugin._is_cached())}
    if action == "fetch":
        plugin._fetch(previous)
    elif action == "stage":
        plugin._stage(said["directory"])
    elif action == "init-workspace":
        plugin._init_workspace(said["directory"])
    elif action == "validate-cache":
        plugin.validate_cache()
    elif action == "info":
        return {"info": _info(plugin)}
    else:
        raise PluginError("Sources can't do '{}'".format(action), reason="host-protocol")
    return {}


def _translated(project, said):
    url, extra = project._mirror_url(said["mirror"], said["alias"], said["url"])
    if not isinstance(url, str):
        raise PluginError(
            "source-mirror plugin '{}' made no URL of '{}:{}', but a {}".format(
                subject(said)["kind"], said["alias"], said["url"], type(url).__name__
            ),
            reason="bad-mirror-url",
        )
    headers = {}
    if extra.get("http-auth") == "bearer":
        from ..downloadablefilesource import _bearer_headers, _parse_netrc

        headers = _bearer_headers(_parse_netrc(project._mirror(said["mirror"])), url)
    return {"url": url, "headers": ["{}: {}".format(*header) for header in headers.items()]}


def _info(plugin):
    result = []
    for info in plugin.collect_source_info() or ():
        plain = info.serialize()
        result.append(
            {
                "kind": info.kind,
                "url": str(info.url),
                "medium": plain["medium"],
                "version_type": plain["version-type"],
                # As BuildStream shows them, the name of what isn't there included.
                "version": str(info.version),
                "guess": info.version_guess,
                "extra": info.extra_data or None,
                # The asker knows the source's own.
                "provenance": None if info.provenance is plugin._own_provenance() else plain.get("provenance"),
            }
        )
    return result


def error_of(error, said):
    """What the asker is told of an exception."""
    if isinstance(error, BstError):
        reason = _member_text(error._reason)
        domain = _member_text(error._domain) or "plugin"
        text = str(error)
        detail = error.detail
        temporary = bool(error.temporary)
        place = error._place
    else:
        import traceback

        domain, reason, temporary, place = "plugin", "unhandled-exception", False, None
        lines = traceback.format_exception(type(error), error, _outside(error.__traceback__))
        detail = "".join(lines)
        text = "{} plugin '{}' failed with an exception: {}".format(said.get("type"), said.get("kind"), lines[-1].strip())
    if place is None:
        files = said.get("files") or ()
        number, line, column = said.get("place") or (-1, 0, 0)
        place = [files[number], line, column] if 0 <= number < len(files) else None
    collects = getattr(error, "_collects", None) or {}
    return {
        **collects,
        "domain": "program" if domain == "prog-not-found" else domain,
        "reason": None if reason is None else str(reason),
        "message": text,
        "detail": None if detail is None else str(detail),
        "place": place,
        "temporary": temporary,
    }


# The package, and what imports for it.
_OURS = (os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + "/", "<frozen importlib", importlib.__file__)


def _outside(traceback):
    """A traceback from the first step that is a plugin's; None if none is."""
    while traceback is not None and traceback.tb_frame.f_code.co_filename.startswith(_OURS):
        traceback = traceback.tb_next
    return traceback

"""Elements: what is built.

While projects are loaded an element is configured and keyed; what it depends on is what the asker says, and nothing is
built. Methods that need a sandbox or artifacts refuse by name.
"""

from ._exceptions import BstError, ImplError, LoadError, PluginError, UnsupportedError, _Name
from .node import MappingNode
from .plugin import Plugin
from .types import OverlapAction, _Scope


class ElementError(BstError):
    """What elements raise when something is wrong."""

    def __init__(self, message, *, detail=None, reason=None, collect=None, temporary=False):
        super().__init__(message, detail=detail, domain=_Name("ELEMENT"), reason=reason, temporary=temporary)
        self.collect = collect


class DependencyConfiguration:
    """A build dependency, as the element's project names it, and what the element says of it."""

    def __init__(self, element, path, config):
        self.element = element
        self.path = path
        self.config = config


def _needs_job(element, method):
    return PluginError(
        "{}: {}() was called while projects are loaded, when nothing is built yet".format(element, method), reason="not-in-a-job"
    )


class Element(Plugin):
    """Base of elements."""

    BST_ARTIFACT_VERSION = 0
    """A number to be changed when the same key shall make another artifact."""

    BST_STRICT_REBUILD = False
    """Whether another key of a build dependency always rebuilds the element."""

    BST_FORBID_RDEPENDS = False
    """Whether there may be no runtime dependencies."""

    BST_FORBID_BDEPENDS = False
    """Whether there may be no build dependencies."""

    BST_FORBID_SOURCES = False
    """Whether there may be no sources."""

    BST_RUN_COMMANDS = True
    """Whether the element runs commands in its sandbox."""

    BST_ELEMENT_HAS_ARTIFACT = True
    """Whether the element has an artifact."""

    def __init__(self, context, project, load_element, plugin_conf=None, *, artifact_key=None):
        super().__init__(load_element.name, context, project, load_element.node, "element")
        self.__meta = load_element
        self.__public = None
        self.__public_changed = False
        self.__dependencies = None
        self.project_name = project.name
        """The name of the element's project."""
        self.normal_name = _get_normal_name(self.name)
        """The name as it is in the names of artifacts."""
        self._configure(load_element.config.clone())

    def __lt__(self, other):
        return self.name < other.name

    # What plugins implement.

    def configure_dependencies(self, dependencies):
        """Takes what the element says of its build dependencies; plugins that allow this have their own."""
        assert False, "Code should not be reached"

    def configure_sandbox(self, sandbox):
        """Sets the sandbox up; plugins have their own."""
        raise ImplError("element plugin '{}' does not implement configure_sandbox()".format(self.get_kind()))

    def stage(self, sandbox):
        """Puts dependencies and sources into the sandbox; plugins have their own."""
        raise ImplError("element plugin '{}' does not implement stage()".format(self.get_kind()))

    def assemble(self, sandbox):
        """Builds: the directory that becomes the artifact; plugins have their own."""
        raise ImplError("element plugin '{}' does not implement assemble()".format(self.get_kind()))

    def generate_script(self):
        """The commands as a shell script; plugins may have their own."""
        raise ImplError("element plugin '{}' does not implement generate_script()".format(self.get_kind()))

    # What plugins call.

    def sources(self):
        """The element's sources."""
        raise UnsupportedError("{}: sources() is not provided to plugins of elements by Sluice".format(self))

    def dependencies(self, selection=None, *, recurse=True):
        """Build dependencies with all that they need, each after what it needs itself; or what some of them need, with them."""
        direct = [entry for entry in self.__entries() if entry.build]
        if selection is None:
            roots = direct
        else:
            roots = []
            for element in selection:
                if element is self:
                    roots.extend(direct)
                elif recurse:
                    roots.append(element._entry)
                else:
                    roots.extend(self.__needs(element._entry))
        return self.__closure(roots, recurse)

    def _dependencies(self, scope, *, recurse=True, visited=None):
        """Dependencies of a scope, and for those with what is needed at run time the element itself."""
        build = scope in (_Scope.BUILD, _Scope.ALL)
        runtime = scope in (_Scope.RUN, _Scope.ALL)
        roots = [entry for entry in self.__entries() if build and entry.build or runtime and entry.runtime]
        yield from self.__closure(roots, recurse)
        if recurse and scope in (_Scope.RUN, _Scope.ALL):
            yield self

    def __closure(self, roots, recurse):
        seen = set()
        stack = [(root, False) for root in reversed(roots)]
        while stack:
            entry, done = stack.pop()
            if done:
                yield entry.proxy
            elif entry not in seen:
                seen.add(entry)
                stack.append((entry, True))
                if recurse:
                    stack.extend((needed, False) for needed in reversed(self.__needs(entry)))

    def search(self, name):
        """The element with a name among dependencies(), or this one."""
        if name == self.name:
            return self
        return next((element for element in self.dependencies() if element.name == name), None)

    def node_subst_vars(self, node):
        """A scalar's text; variables are in it already."""
        return node.as_str()

    def node_subst_sequence_vars(self, node):
        """A sequence's texts; variables are in them already."""
        return node.as_str_list()

    def get_artifact_name(self, key=None):
        """The name of the artifact that the element has with a key."""
        if key is None:
            raise _needs_job(self, "get_artifact_name")
        name = "".join([c if c.isascii() and (c.isalnum() or c in "-._") else "_" for c in self.normal_name])
        return "{}/{}/{}".format(self.project_name, name, key)

    def get_public_data(self, domain):
        """A copy of a domain of the public data, or None."""
        node = self.__public_node().get_mapping(domain, default=None)
        return None if node is None else node.clone()

    def set_public_data(self, domain, data):
        """Replaces a domain of the public data."""
        self.__public_node()[domain] = None if data is None else data.clone()
        self.__public_changed = True

    def get_environment(self):
        """The environment of commands."""
        return self.__meta.environment

    def get_variable(self, varname):
        """A variable's value, or None."""
        return self.__meta.variables.get(varname)

    def compute_manifest(self, *, include=None, exclude=None, orphans=True):
        """The files of the artifact that belong to some domains."""
        raise _needs_job(self, "compute_manifest")

    def stage_artifact(
        self, sandbox, *, path=None, action=OverlapAction.WARNING, include=None, exclude=None, orphans=True
    ):
        """Puts this element's artifact into a sandbox."""
        raise _needs_job(self, "stage_artifact")

    def stage_dependency_artifacts(
        self, sandbox, selection=None, *, path=None, action=OverlapAction.WARNING, include=None, exclude=None, orphans=True
    ):
        """Puts artifacts of dependencies into a sandbox."""
        raise _needs_job(self, "stage_dependency_artifacts")

    def integrate(self, sandbox):
        """Runs the element's integration commands."""
        raise _needs_job(self, "integrate")

    def stage_sources(self, sandbox, directory):
        """Puts the sources into a sandbox."""
        raise _needs_job(self, "stage_sources")

    def run_cleanup_commands(self, sandbox):
        """Removes the build tree where nobody wants it."""
        raise _needs_job(self, "run_cleanup_commands")

    def subsandbox(self, sandbox):
        """Another sandbox for the length of a block."""
        raise _needs_job(self, "subsandbox")

    # What the host calls.

    def _check(self):
        """Hands on what the element says of its dependencies, and checks what may be there."""
        entries = self.__entries()
        if type(self).configure_dependencies is not Element.configure_dependencies:
            self.configure_dependencies(
                [DependencyConfiguration(entry.proxy, entry.path, config) for entry, config in self.__meta.configurations()]
            )
        else:
            for _, config in self.__meta.configurations():
                if config is not None:
                    provenance = config.get_provenance()
                    raise LoadError(
                        "{}: Custom dependency configuration is not supported by element plugin '{}'".format(
                            provenance, self.get_kind()
                        ),
                        "INVALID_DEPENDENCY_CONFIG",
                        place=[provenance._displayname, provenance._line, provenance._col],
                    )
        runtime = any(entry.runtime for entry in entries)
        build = any(entry.build for entry in entries)
        for forbidden, found, what, reason in (
            (self.BST_FORBID_RDEPENDS and self.BST_FORBID_BDEPENDS, runtime or build, "Dependencies", "depends"),
            (self.BST_FORBID_RDEPENDS, runtime, "Runtime dependencies", "rdepends"),
            (self.BST_FORBID_BDEPENDS, build, "Build dependencies", "bdepends"),
            (self.BST_FORBID_SOURCES, self.__meta.sources, "Sources", "sources"),
        ):
            if forbidden and found:
                raise ElementError(
                    "{}: {} are forbidden for '{}' elements".format(self, what, self.get_kind()),
                    reason="element-forbidden-" + reason,
                )
        self._preflight()

    def _preflight(self):
        try:
            self.preflight()
        except BstError as error:
            wrapped = ElementError("{}: {}".format(self, error), reason=error.reason, detail=error.detail)
            wrapped._place = error._place
            raise wrapped from error

    def _changed_public(self):
        return self.__public if self.__public_changed else None

    def __public_node(self):
        if self.__public is None:
            self.__public = self.__meta.public().clone()
        return self.__public

    def __entries(self):
        if self.__dependencies is None:
            self.__dependencies = self.__meta.dependencies(self, ElementProxy)
        return self.__dependencies

    def __needs(self, entry):
        if entry.needs is None:
            raise UnsupportedError(
                "{}: what '{}' needs is not known to plugins of elements while projects are loaded".format(self, entry.name)
            )
        return [self.__dependencies[index] for index in entry.needs]


class ElementProxy:
    """A dependency, as the element that depends on it sees it."""

    def __init__(self, owner, entry):
        self._owner = owner
        self._entry = entry

    @property
    def name(self):
        """The name below its project's element path."""
        return self._entry.name

    @property
    def project_name(self):
        """The name of its project."""
        return self._entry.project

    @property
    def normal_name(self):
        """The name as it is in the names of artifacts."""
        return self._entry.normal_name

    @property
    def _unique_id(self):
        return self._entry.number

    def __lt__(self, other):
        return self.name < other.name

    def __str__(self):
        return "{} element {}".format(self._entry.kind, self.name)

    def get_kind(self):
        """Its kind."""
        return self._entry.kind

    def dependencies(self, selection=None, *, recurse=True):
        """As Element.dependencies(), of what the dependency needs at run time."""
        return self._owner.dependencies([self] if selection is None else selection, recurse=recurse)

    def search(self, name):
        """The element with a name among those, or the dependency itself."""
        return next((element for element in self.dependencies() if element.name == name), None)

    def node_subst_vars(self, node):
        """A scalar's text."""
        return node.as_str()

    def node_subst_sequence_vars(self, node):
        """A sequence's texts."""
        return node.as_str_list()

    def __getattr__(self, name):
        if name.startswith("_"):
            raise AttributeError(name)
        if hasattr(Element, name):
            if name in _OF_PROXIES:
                raise _needs_job(self, name)
            raise PluginProxyError("{}: Illegal attempt to access attribute '{}' on plugin: {}".format(self._owner, name, self))
        raise AttributeError("{}: Has no attribute '{}'".format(self, name))


_OF_PROXIES = frozenset(
    """sources compute_manifest get_artifact_name stage_artifact stage_dependency_artifacts integrate get_public_data
    get_environment get_variable""".split()
)


class PluginProxyError(Exception):
    """An element reached for something of another one that it must not touch."""


def _get_normal_name(name):
    """A name without its suffix and with dashes for slashes."""
    import os

    return os.path.splitext(name.replace(os.sep, "-"))[0]

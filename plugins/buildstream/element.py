"""Elements: what is built.

While projects are loaded an element is configured and keyed; what it depends on is what the asker says, and nothing is
built. Methods that need a sandbox or artifacts refuse by name then. In a job they call the asker, which has both; what that
takes is imported there.
"""

from ._exceptions import BstError, ImplError, LoadError, PluginError, UnsupportedError, _Name, _unsupported
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
        self.__in_job = False
        self.__staging = set()  # sandboxes that artifacts may be staged into
        self.project_name = project.name
        """The name of the element's project."""
        self.normal_name = _get_normal_name(self.name)
        """The name as it is in the names of artifacts."""
        self.__sources = ()  # none is made yet when it is configured
        self._configure(load_element.config.clone())
        self.__sources = load_element.sources

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
        """The element's sources; while projects are loaded there is nothing to them but their kinds."""
        if self.__in_job:
            from ._host.sources import sources_of

            return sources_of(None)
        return (_KnownByKind(self, index, kind) for index, kind in enumerate(self.__sources))

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
        """The element with a name among dependencies()."""
        return next((element for element in self.dependencies() if element.name == name), None)

    def node_subst_vars(self, node):
        """A scalar's text; variables are in it already."""
        return node.as_str()

    def node_subst_sequence_vars(self, node):
        """A sequence's texts; variables are in them already."""
        return node.as_str_list()

    def get_artifact_name(self, key=None):
        """The name of the artifact that the element has with a key; its own if none is said."""
        if key is None:
            self._host_check_job("get_artifact_name")
            key = self.__meta.said("key")
        return _artifact_name(self.project_name, self.normal_name, key)

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
        """The files of the artifact that belong to some domains. While the element is built it has none."""
        self._host_check_job("compute_manifest")
        raise AssertionError("{}: Missing artifact {}".format(self, (self.__meta.said("key") or "")[:8]))

    def stage_artifact(
        self, sandbox, *, path=None, action=OverlapAction.WARNING, include=None, exclude=None, orphans=True
    ):
        """Puts this element's artifact into a sandbox. While the element is built it has none."""
        self._host_check_staging("stage_artifact", sandbox)
        raise _no_artifact()

    def stage_dependency_artifacts(
        self, sandbox, selection=None, *, path=None, action=OverlapAction.WARNING, include=None, exclude=None, orphans=True
    ):
        """Puts artifacts of dependencies into a sandbox: those of dependencies()."""
        self._host_check_staging("stage_dependency_artifacts", sandbox)
        _stage(sandbox, [element._artifact() for element in self.dependencies(selection)], path, action, include, exclude, orphans)

    def integrate(self, sandbox):
        """Runs the element's integration commands."""
        self._host_check_job("integrate")
        data = self.get_public_data("bst")
        if data is not None:
            with sandbox.batch():
                for command in data.get_str_list("integration-commands", []):
                    sandbox.run(["sh", "-e", "-c", command], env=self.get_environment(), cwd="/", label=command)

    def stage_sources(self, sandbox, directory):
        """Puts the sources into a sandbox."""
        self._host_check_job("stage_sources")
        target = sandbox.get_virtual_directory().open_directory(directory.lstrip("/"), create=True)
        if target:
            raise ElementError("Staging directory '{}' is not empty".format(target))
        from ._host.calls import call

        # The asker says that it stages sources.
        target._forget()
        call("stage_sources", tree=sandbox._tree, path=target._path)

    def run_cleanup_commands(self, sandbox):
        """Removes the build tree where nobody wants it."""
        self._host_check_job("run_cleanup_commands")
        if self._get_workspace() or self.__meta.said("keeps_build_tree"):
            return
        build_root = self.get_variable("build-root")
        install_root = self.get_variable("install-root")
        assert build_root
        if install_root and (build_root.startswith(install_root) or install_root.startswith(build_root)):
            # The artifact would go with it.
            return
        sandbox._clean_directory(build_root)

    def subsandbox(self, sandbox):
        """Another sandbox for the length of a block. It is empty at first, and nothing can run in it."""
        self._host_check_job("subsandbox")
        return _Staging(self, sandbox, below=True)

    def _get_workspace(self):
        self._host_check_job("_get_workspace")
        return self.__meta.said("workspaced") or None

    def _get_cache_key(self, strength=None):
        if not self.__in_job:
            raise _unsupported("{}._get_cache_key()".format(type(self).__name__))
        return self.__meta.said("key")

    def _host_check_job(self, method):
        """Methods refuse by name where there is no job."""
        if not self.__in_job:
            raise _needs_job(self, method)

    def _host_check_staging(self, method, sandbox):
        """Methods that stage refuse outside of stage(), but for subsandboxes while they are open."""
        self._host_check_job(method)
        assert sandbox in self.__staging, "Attempted to stage artifacts outside of Element.stage()"

    # What the host calls.

    def _host_check(self):
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
            (self.BST_FORBID_SOURCES, self.__sources, "Sources", "sources"),
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

    def _host_begin(self):
        """A job begins; what is set from now on is the artifact's."""
        self.__in_job = True
        self.__public_changed = False

    def _host_set_staging(self, sandbox, staging):
        (self.__staging.add if staging else self.__staging.remove)(sandbox)

    def _host_node(self, packed):
        """A tree that the asker has said of a dependency."""
        return self.__meta.node_of(packed)

    def _host_environment(self):
        """The element's environment, where the plugin has changed it."""
        return self.__meta.changed_environment()

    def _host_public(self):
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
            raise PluginError("{}: what '{}' needs is not said".format(self, entry.name), reason="needs-dependencies")
        return entry.needs


class _KnownByKind:
    """A source of an element."""

    def __init__(self, element, index, kind):
        self._element = element
        self._kind = kind
        self.name = "{}-{}".format(element.name, index)
        """The name of its element, and which of its sources it is."""

    def get_kind(self):
        """Its kind."""
        return self._kind

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        raise UnsupportedError(
            "{}: '{}' of a source is not provided to plugins of elements while projects are loaded".format(self._element, name)
        )


class ElementProxy:
    """A dependency, as the element that depends on it sees it."""

    def __init__(self, owner, entry):
        self._owner = owner
        self._entry = entry
        self._kept = {}

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

    def sources(self):
        """Its sources."""
        self._owner._host_check_job("sources")
        from ._host.sources import sources_of

        return sources_of(self._artifact())

    def get_artifact_name(self, key=None):
        """As Element.get_artifact_name()."""
        if key is None:
            self._owner._host_check_job("get_artifact_name")
            key = self._entry.key
        return _artifact_name(self.project_name, self.normal_name, key)

    def compute_manifest(self, *, include=None, exclude=None, orphans=True):
        """The files of its artifact that belong to some domains."""
        said = self.__asked("compute_manifest", "manifest", include=_texts(include), exclude=_texts(exclude), orphans=bool(orphans))
        return iter(said["paths"])

    def stage_artifact(
        self, sandbox, *, path=None, action=OverlapAction.WARNING, include=None, exclude=None, orphans=True
    ):
        """Puts its artifact into a sandbox: what was written, overwritten and left out."""
        self._owner._host_check_staging("stage_artifact", sandbox)
        return _stage(sandbox, [self._artifact()], path, action, include, exclude, orphans)

    def stage_dependency_artifacts(self, sandbox, selection=None, **more):
        """As Element.stage_dependency_artifacts(), of what the dependency needs at run time."""
        self._owner.stage_dependency_artifacts(sandbox, [self] if selection is None else selection, **more)

    def integrate(self, sandbox):
        """Runs its integration commands."""
        self._owner._host_check_job("integrate")
        sandbox._integrate(self._artifact(), self.__has_integration_commands)

    def __has_integration_commands(self):
        data = self.get_public_data("bst")
        return data is not None and bool(data.get_str_list("integration-commands", []))

    def get_public_data(self, domain):
        """A copy of a domain of its public data, or None."""
        data = self.__of_artifact("get_public_data", "public").get_mapping(domain, default=None)
        return None if data is None else data.clone()

    def get_environment(self):
        """The environment of its commands."""
        return self.__of_artifact("get_environment", "environment")

    def get_variable(self, varname):
        """A variable's value, or None."""
        return self.__of_artifact("get_variable", "variables").get(varname)

    def _artifact(self):
        if self._entry.artifact is None:
            raise _no_artifact()
        return self._entry.artifact

    def __asked(self, method, name, **fields):
        self._owner._host_check_job(method)
        from ._host.calls import call

        return call(name, element=self._artifact(), **fields)

    def __of_artifact(self, method, name):
        found = self._kept.get(name)
        if found is None:
            found = self.__asked(method, name)[name]
            if name == "public":
                found = self._owner._host_node(found)
            self._kept[name] = found
        return found

    def __getattr__(self, name):
        if name.startswith("_"):
            raise AttributeError(name)
        if hasattr(Element, name):
            raise PluginProxyError("{}: Illegal attempt to access attribute '{}' on plugin: {}".format(self._owner, name, self))
        raise AttributeError("{}: Has no attribute '{}'".format(self, name))


class PluginProxyError(Exception):
    """An element reached for something of another one that it must not touch."""


def _get_normal_name(name):
    """A name without its suffix and with dashes for slashes."""
    import os

    return os.path.splitext(name.replace(os.sep, "-"))[0]


def _artifact_name(project, normal_name, key):
    name = "".join([c if c.isascii() and (c.isalnum() or c in "-._") else "_" for c in normal_name])
    return "{}/{}/{}".format(project, name, key)


def _no_artifact():
    return ElementError(
        "No artifacts to stage",
        detail="No artifacts have been cached yet for that element\nTry building the element first with `bst build`\n",
        reason="uncached-checkout-attempt",
    )


def _texts(names):
    return None if names is None else list(names)


def _stage(sandbox, artifacts, path, action, include, exclude, orphans):
    from ._host.calls import call
    from .storage._casbaseddirectory import _result
    from .utils import FileListResult

    if not artifacts:
        return FileListResult()
    directory = sandbox.get_virtual_directory()
    if path is not None:
        directory = directory.open_directory(path.lstrip("/"), create=True)
    directory._forget()
    return _result(
        call(
            "stage",
            tree=sandbox._tree,
            elements=artifacts,
            path=directory._path,
            action=OverlapAction(action).value,
            include=_texts(include),
            exclude=_texts(exclude),
            orphans=bool(orphans),
        )
    )


def _stage_layout(element, sandbox, layout):
    """Stages dependencies where a layout has them, and integrates those that are at the root."""
    for location in sorted(layout):
        with element.timed_activity("Staging dependencies at: {}".format(location), silent_nested=True):
            element.stage_dependency_artifacts(sandbox, [direct for direct, _ in layout[location]], path=location)
    if "/" in layout:
        with element.timed_activity("Integrating sandbox", silent_nested=True), sandbox.batch():
            for dependency in element.dependencies([direct for direct, _ in layout["/"]]):
                dependency.integrate(sandbox)


class _Staging:
    """A block in which artifacts may be staged into a sandbox, or into one that is made for the block."""

    def __init__(self, element, sandbox, below=False):
        self.element = element
        self.sandbox = sandbox
        self.below = below

    def __enter__(self):
        if self.below:
            self.sandbox = self.sandbox._create_subsandbox()
        self.element._host_set_staging(self.sandbox, True)
        return self.sandbox

    def __exit__(self, kind, error, traceback):
        self.element._host_set_staging(self.sandbox, False)

"""What elements, sources and mirrors have in common."""

import os
import posix

from ._exceptions import ImplError, PluginError, _unsupported
from ._host import session
from .types import CoreWarnings

_CORE_WARNINGS = {value for name, value in vars(CoreWarnings).items() if not name.startswith("_")}


def _prefix_warning(plugin, warning):
    """The name of a warning in the project's configuration: with the plugin's kind before it, unless it is BuildStream's own."""
    return warning if warning in _CORE_WARNINGS else "{}:{}".format(plugin.get_kind(), warning)


class Plugin:
    """Base of all plugins."""

    BST_MIN_VERSION = None
    """The first version of BuildStream that has what the plugin needs, as "2.N"."""

    BST_PLUGIN_DEPRECATED = False
    """Whether the plugin should not be used any more."""

    BST_PLUGIN_DEPRECATION_MESSAGE = None
    """What to use in its place."""

    def __init__(self, name, context, project, provenance_node, type_tag, unique_id=None):
        self.name = name
        """The element's name below its project's element path; a source's has the source's index behind a dash."""

        self._unique_id = session.next_id() if unique_id is None else unique_id
        self.__context = context
        self.__project = project
        self.__provenance_node = provenance_node
        self.__type_tag = type_tag
        self.__configuring = False
        self.__kind = type(self).__module__.rpartition(".")[2]

    def __str__(self):
        return "{} {} at {}".format(self.__kind, self.__type_tag, self._get_provenance())

    def __lacks(self, method):
        return ImplError("{} plugin '{}' does not implement {}()".format(self.__type_tag, self.__kind, method))

    def configure(self, node):
        """Reads the plugin's configuration; plugins have their own."""
        raise self.__lacks("configure")

    def preflight(self):
        """Checks whether the machine has what the plugin needs; plugins have their own."""
        raise self.__lacks("preflight")

    def get_unique_key(self):
        """What of the plugin's configuration decides what it makes; plugins have their own."""
        raise self.__lacks("get_unique_key")

    def get_kind(self):
        """The kind by which projects name the plugin."""
        return self.__kind

    def node_get_project_path(self, node, *, check_is_file=False, check_is_dir=False):
        """The path that a scalar holds, after it was checked to be one of the project's."""
        return self.__project.get_path_from_node(node, check_is_file=check_is_file, check_is_dir=check_is_dir)

    def debug(self, brief, *, detail=None):
        """Says something to those who look for faults in the plugin."""
        session.message("debug", brief, detail)

    def status(self, brief, *, detail=None):
        """Says what the plugin is doing."""
        session.message("status", brief, detail)

    def info(self, brief, *, detail=None):
        """Says something that users want to know."""
        session.message("info", brief, detail)

    def warn(self, brief, *, detail=None, warning_token=None):
        """Warns. A warning with a token is an error where the project says so."""
        if warning_token:
            warning_token = _prefix_warning(self, warning_token)
            if self.__project._warning_is_fatal(warning_token):
                raise PluginError("[{}]: {}\n{}".format(warning_token, brief, detail or ""), reason=warning_token)
        session.warn(brief, detail, warning_token)

    def log(self, brief, *, detail=None):
        """Writes into the log, and nowhere else."""
        session.log(brief, detail)

    def timed_activity(self, activity_name, *, detail=None, silent_nested=False):
        """A block whose begin and end are said, with the time that it takes."""
        return session.Activity(activity_name, detail, silent_nested)

    def blocking_activity(self, target, args, activity_name, *, detail=None, silent_nested=False):
        """Calls a function that may take long. The host is a process of its own, which can be ended at any time; so no
        other process is needed for that."""
        with self.timed_activity(activity_name, detail=detail, silent_nested=silent_nested):
            try:
                return target(*args)
            except Exception:
                import traceback

                raise PluginError("An error happened while running a blocking activity", detail=traceback.format_exc()) from None

    def call(self, args, fail=None, fail_temporarily=False, cwd=None, env=None, stdin=None, stdout=None, stderr=None):
        """Runs a program of this machine: its exit status. With `fail`, another one than 0 raises that text."""
        status, _ = self.__call(args, fail, fail_temporarily, False, cwd, env, stdin, stdout, stderr)
        return status

    def check_output(self, args, fail=None, fail_temporarily=False, cwd=None, env=None, stdin=None, stderr=None):
        """As call(), but what the program writes to its standard output is the second of the two results."""
        return self.__call(args, fail, fail_temporarily, True, cwd, env, stdin, None, stderr)

    def __call(self, args, fail, fail_temporarily, collect, cwd, env, stdin, stdout, stderr):
        from . import utils

        command = args if isinstance(args, str) else " ".join(os.fspath(part) for part in args)
        session.log("Running host command {}: {}".format(cwd or posix.getcwd(), command), None)
        self.status("Running host command", detail=command)
        log = session.log_descriptor()
        status, output = utils._call(
            args,
            cwd=cwd,
            env=env,
            stdin=stdin,
            stdout=-1 if collect else log if stdout is None else stdout,
            stderr=log if stderr is None else stderr,
        )
        if fail and status:
            raise PluginError("{}: {}".format(self, fail), temporary=fail_temporarily)
        return status, output

    def _get_context(self):
        return self.__context

    def _get_project(self):
        return self.__project

    def _get_provenance(self):
        return self.__provenance_node.get_provenance()

    def _get_full_name(self):
        return self.__context.element

    def _get_configuring(self):
        return self.__configuring

    def _configure(self, node):
        self.__configuring = True
        self.configure(node)
        self.__configuring = False

    def _preflight(self):
        self.preflight()

    def __getattr__(self, name):
        # Only called for what isn't there. What BuildStream's own classes have below an underscore is refused by name.
        if name in _PRIVATE:
            raise _unsupported("{}.{}()".format(type(self).__name__, name))
        raise AttributeError("'{}' object has no attribute '{}'".format(type(self).__name__, name))


# Methods of BuildStream's classes that are private to it, and that plugins have been seen to call all the same.
_PRIVATE = frozenset(
    """_output_file _lookup _cache_directory _cached _get_cache_key _get_workspace _get_artifact _get_build_result _prepare_sandbox
    _stage_artifact _stage_dependency_artifacts _stage_sources_at _stage_sources_in_sandbox _search _get_display_key _initialize_state
    _get_source_name _get_brief_display_key _generate_key _track _key _run_public_data _read_artifact _save_ref _is_cached _set_ref""".split()
)

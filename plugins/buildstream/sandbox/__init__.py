"""The sandbox of elements. While projects are loaded there is none: its methods refuse by name."""

from .._exceptions import PluginError, SandboxError


class SandboxCommandError(SandboxError):
    """A command in the sandbox has failed."""

    def __init__(self, message, *, detail=None, collect=None, reason="command-failed"):
        super().__init__(message, detail=detail, reason=reason)
        self.collect = collect


def _no_sandbox(method):
    return PluginError("Sandbox.{}() was called where there is no sandbox".format(method), reason="no-sandbox")


class Sandbox:
    """Where an element's commands run."""

    def get_virtual_directory(self):
        """The sandbox's root."""
        raise _no_sandbox("get_virtual_directory")

    def set_environment(self, environment):
        """Sets the environment of commands."""
        raise _no_sandbox("set_environment")

    def set_work_directory(self, directory):
        """Sets the directory in which commands start."""
        raise _no_sandbox("set_work_directory")

    def mark_directory(self, directory):
        """Has a directory made, which commands may write into."""
        raise _no_sandbox("mark_directory")

    def run(self, command, *, root_read_only=False, cwd=None, env=None, label=None):
        """Runs a command."""
        raise _no_sandbox("run")

    def batch(self, *, root_read_only=False, label=None, collect=None):
        """A block whose commands run together at its end."""
        raise _no_sandbox("batch")

"""Where an element's commands run. The asker has the sandbox; this is what a plugin sees of it."""

import os

from .._exceptions import ImplError, SandboxError, _unsupported
from .._host.calls import call


class SandboxCommandError(SandboxError):
    """A command in the sandbox has failed."""

    def __init__(self, message, *, detail=None, collect=None, reason="command-failed"):
        super().__init__(message, detail=detail, reason=reason)
        self.collect = collect


class _SandboxBug(Exception):
    """A plugin does what it said that it wouldn't."""


class _SandboxFlags:
    """How commands run."""

    NONE = 0
    ROOT_READ_ONLY = 1
    NETWORK_ENABLED = 2
    INTERACTIVE = 4
    INHERIT_UID = 8


_MIXED = "Inconsistent sandbox flags in single command batch"


class Sandbox:
    """The sandbox of a build, or a subsandbox, in which nothing runs."""

    def __init__(self, tree, parent=None):
        self._tree = tree
        self._batch = None
        self.__parent = parent
        self.__directory = None
        self.__environment = None
        self.__work_directory = None
        self.__marked = []
        self.__allow_run = True

    def __enter__(self):
        return self

    def __exit__(self, kind, error, traceback):
        pass

    def get_virtual_directory(self):
        """The sandbox's root."""
        if self.__directory is None:
            from ..storage._casbaseddirectory import CasBasedDirectory, Tree

            self.__directory = CasBasedDirectory(Tree(self._tree))
        return self.__directory

    def set_environment(self, environment):
        """Sets the environment of commands."""
        self.__environment = environment

    def set_work_directory(self, directory):
        """Sets the directory in which commands start."""
        assert directory.startswith("/"), "The working directory must be an absolute path"
        self.__work_directory = directory

    def mark_directory(self, directory):
        """Has a directory made, which commands may write into."""
        assert directory.startswith("/"), "The directories marked in the sandbox must be absolute paths"
        self.__marked.append(directory)

    def run(self, command, *, root_read_only=False, cwd=None, env=None, label=None):
        """Runs a command: its exit status. In a batch, it runs at the batch's end."""
        flags = _SandboxFlags.ROOT_READ_ONLY if root_read_only else _SandboxFlags.NONE
        return self._run_with_flags(command, flags=flags, cwd=cwd, env=env, label=label)

    def batch(self, *, root_read_only=False, label=None, collect=None):
        """A block whose commands run together at its end. Labels of blocks are said by sandboxes that run each command by
        itself, of which there are none."""
        return _Batching(self, _SandboxFlags.ROOT_READ_ONLY if root_read_only else _SandboxFlags.NONE, collect)

    def _run_with_flags(self, command, *, flags, cwd=None, env=None, label=None):
        if flags & ~_SandboxFlags.ROOT_READ_ONLY:
            raise _unsupported("Sandbox._run_with_flags() with other flags than ROOT_READ_ONLY")
        self._check_run()
        cwd = self._get_work_directory(cwd=cwd)
        env = self._get_environment(cwd=cwd, env=env)
        assert cwd.startswith("/"), "The working directory must be an absolute path"
        command = [command] if isinstance(command, str) else list(command)
        assert command, "A command needs a program"
        for text in (*command, *env, *env.values()):
            if not isinstance(text, str):
                raise TypeError("Commands and their environments are made of texts, not of {!r}".format(text))
        step = {"argv": command, "directory": cwd, "environment": env, "label": None if label is None else str(label)}
        if self._batch is not None:
            self._add(step, flags)
            return None
        self._check_kind()
        return self._send([{**step, "label": None}], flags, batch=False)["status"]

    def _integrate(self, artifact, has_commands):
        """Adds the integration commands of a dependency; where none can run, there must be none."""
        with self.batch():
            if self.__allow_run and self.__parent is None:
                self._add({"integrate": artifact}, _SandboxFlags.NONE)
            elif has_commands():
                self._check_run()
                self._check_kind()

    def _add(self, step, flags):
        assert flags == self._batch.flags, _MIXED
        self._batch.steps.append(step)

    def _send(self, steps, flags, batch):
        self.get_virtual_directory()._forget()
        read_only = bool(flags & _SandboxFlags.ROOT_READ_ONLY)
        marked = [self.__made(path) if ".." in path.split("/") else path for path in self.__marked]
        return call("run", steps=steps, read_only=read_only, marked=marked, batch=batch)

    def __made(self, path):
        """A marked directory with `..` in its path as the asker names it; what leads there is made, as BuildStream makes it."""
        return self.get_virtual_directory().open_directory(path.lstrip("/"), create=True)._path

    def _check_run(self):
        if not self.__allow_run:
            raise _SandboxBug("Element specified BST_RUN_COMMANDS as False but called Sandbox.run()")

    def _check_kind(self):
        if self.__parent is not None:
            raise ImplError("Sandbox of type '{}' does not implement _run()".format(type(self).__name__))

    def _execute(self, batch):
        commands = [step for step in batch.steps if "argv" in step or "integrate" in step]
        if self.__parent is not None:
            if commands:
                self._check_kind()
            for step in batch.steps:
                if "clean" in step:
                    self._clean_directory(step["clean"])
                else:
                    self._create_empty_file(step["touch"])
        elif commands:
            # Without a command nothing runs, and what a run would make or clean stays as it is.
            try:
                self._send(batch.steps, batch.flags, batch=True)
            except SandboxCommandError as error:
                if error._reason == "command-failed":
                    error.collect = batch.collect
                raise

    def _create_empty_file(self, name):
        if self._batch is not None:
            # It is made where the command before has been.
            directories = [step["directory"] for step in self._batch.steps if "argv" in step]
            directory = directories[-1] if directories else self._get_work_directory()
            self._batch.steps.append({"touch": name, "directory": directory})
        else:
            directory = self._get_work_directory().lstrip("/")
            self.get_virtual_directory().open_directory(directory, create=True)._create_empty_file(name)

    def _clean_directory(self, path):
        if self._batch is not None:
            self._batch.steps.append({"clean": path})
        else:
            root = self.get_virtual_directory()
            path = path.lstrip("/")
            if root.exists(path):
                root.remove(path, recursive=True)
                root.open_directory(path, create=True)

    def _has_command(self, command, env=None):
        root = self.get_virtual_directory()
        if os.path.isabs(command):
            return root.exists(command.lstrip("/"), follow_symlinks=True)
        if "/" in command:
            return False
        places = [os.path.join(path, command).lstrip("/") for path in env.get("PATH").split(":")]
        return any(root.exists(place, follow_symlinks=True) for place in places)

    def _get_work_directory(self, *, cwd=None):
        return cwd or self.__work_directory or "/"

    def _get_environment(self, *, cwd=None, env=None):
        environment = dict(self.__environment if env is None else env)
        environment["PWD"] = self._get_work_directory(cwd=cwd)
        return environment

    def _get_configured_environment(self):
        return self.__environment

    def _get_marked_directories(self):
        return self.__marked

    def _disable_run(self):
        self.__allow_run = False

    def _create_subsandbox(self, **_):
        return Sandbox(call("subsandbox")["tree"], parent=self)

    def _told(self):
        """What the asker is told of the sandbox's settings."""
        environment = self.__environment
        if environment is not None:
            environment = dict(environment)
            for text in (*environment, *environment.values()):
                if not isinstance(text, str):
                    raise TypeError("The environment of a sandbox is made of texts, not of {!r}".format(text))
        return {"environment": environment, "work_directory": self.__work_directory, "marked": self.__marked}

    def __getattr__(self, name):
        if name.startswith("_") and not name.startswith("__"):
            raise _unsupported("Sandbox.{}()".format(name))
        raise AttributeError("'Sandbox' object has no attribute '{}'".format(name))


class _Batch:
    def __init__(self, flags, collect):
        self.flags = flags
        self.collect = collect
        self.steps = []


class _Batching:
    """The block of a batch. A block within another one adds to that."""

    def __init__(self, sandbox, flags, collect):
        self.sandbox = sandbox
        self.flags = flags
        self.collect = collect
        self.outermost = False

    def __enter__(self):
        if self.sandbox._batch is not None:
            assert self.flags == self.sandbox._batch.flags, _MIXED
        else:
            self.outermost = True
            self.sandbox._batch = _Batch(self.flags, self.collect)

    def __exit__(self, kind, error, traceback):
        if self.outermost:
            batch, self.sandbox._batch = self.sandbox._batch, None
            if kind is None:
                self.sandbox._execute(batch)

"""Elements that run lists of commands over their sources, as most build systems' do."""

import os

from .element import Element, _stage_layout

_PREPARED = ".bst-prepared"
_STEPS = ["configure-commands", "build-commands", "install-commands", "strip-commands"]


class BuildElement(Element):
    """Base of elements that configure, build, install and strip."""

    def configure(self, node):
        node.validate_keys(_STEPS)
        self._command_subdir = self.get_variable("command-subdir")
        self.__commands = {step: node.get_str_list(step, []) for step in _STEPS}

    def configure_dependencies(self, dependencies):
        # Places in the sandbox with what is staged there, and variables with what their digests are of.
        self.__layout = {}
        self.__digests = {}
        for dependency in dependencies:
            location = "/"
            if dependency.config:
                dependency.config.validate_keys(["digest-environment", "location"])
                location = dependency.config.get_str("location", "/")
                variable = dependency.config.get_str("digest-environment", None)
                if variable is not None:
                    self.__digests.setdefault(variable, []).append((dependency.element, dependency.path))
            self.__layout.setdefault(location, []).append((dependency.element, dependency.path))

    def preflight(self):
        pass

    def get_unique_key(self):
        key = dict(self.__commands)
        if self._command_subdir:
            key["command-subdir"] = self._command_subdir
        if self.get_variable("notparallel"):
            key["notparallel"] = True
        if any(location != "/" for location in self.__layout):
            key["layout"] = _paths(self.__layout)
        if self.__digests:
            # This is how BuildStream spells it, and keys are made of that.
            key["digest-enviornment"] = _paths(self.__digests)
        return key

    def configure_sandbox(self, sandbox):
        build_root = self.get_variable("build-root")
        sandbox.mark_directory(build_root)
        sandbox.mark_directory(self.get_variable("install-root"))
        sandbox.set_work_directory(os.path.join(build_root, self._command_subdir) if self._command_subdir else build_root)
        environment = self.get_environment()
        for variable in sorted(self.__digests):
            with self.timed_activity(
                "Staging dependencies for '{}' in subsandbox".format(variable), silent_nested=True
            ), self.subsandbox(sandbox) as subsandbox:
                self.stage_dependency_artifacts(subsandbox, [element for element, _ in self.__digests[variable]])
                digest = subsandbox.get_virtual_directory()._get_digest()
            environment[variable] = "{}/{}".format(digest.hash, digest.size_bytes)
        sandbox.set_environment(environment)

    def stage(self, sandbox):
        _stage_layout(self, sandbox, self.__layout)
        self.stage_sources(sandbox, self.get_variable("build-root"))

    def assemble(self, sandbox):
        with sandbox.batch(root_read_only=True, label="Running commands"):
            # A workspace is configured once: what that makes is still there when it is built again.
            configure = self.__commands["configure-commands"]
            workspaced = self._get_workspace()
            if not (configure and workspaced and self.__is_prepared(sandbox)):
                self.__run(sandbox, configure)
                if workspaced:
                    sandbox._create_empty_file(_PREPARED)
            for step in _STEPS[1:]:
                self.__run(sandbox, self.__commands[step])
            self.run_cleanup_commands(sandbox)
        return self.get_variable("install-root")

    def __is_prepared(self, sandbox):
        build_root = self.get_variable("build-root").lstrip("/")
        return sandbox.get_virtual_directory().open_directory(build_root).exists(_PREPARED)

    def __run(self, sandbox, commands):
        for command in commands:
            sandbox.run(["sh", "-c", "-e", command + "\n"], root_read_only=True, label=command)

    def generate_script(self):
        return "".join("(set -ex; {}\n) || exit 1\n".format(command) for step in _STEPS for command in self.__commands[step])


def _paths(groups):
    return {name: [path for _, path in groups[name]] for name in sorted(groups)}

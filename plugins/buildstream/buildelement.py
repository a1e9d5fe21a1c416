"""Elements that run lists of commands over their sources, as most build systems' do."""

from .element import Element, _needs_job

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
        raise _needs_job(self, "configure_sandbox")

    def stage(self, sandbox):
        raise _needs_job(self, "stage")

    def assemble(self, sandbox):
        raise _needs_job(self, "assemble")

    def generate_script(self):
        return "".join("(set -ex; {}\n) || exit 1\n".format(command) for step in _STEPS for command in self.__commands[step])


def _paths(groups):
    return {name: [path for _, path in groups[name]] for name in sorted(groups)}

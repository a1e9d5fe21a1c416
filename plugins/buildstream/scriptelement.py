"""Elements that run commands over what they depend on."""

from .element import Element, _stage_layout


class ScriptElement(Element):
    """Base of elements that say what is staged where, and which commands run then."""

    BST_STRICT_REBUILD = True
    BST_FORBID_RDEPENDS = True
    BST_FORBID_SOURCES = True

    __install_root = "/"
    __cwd = "/"
    __root_read_only = False
    __commands = None
    __layout = None

    def set_work_dir(self, work_dir=None):
        """The directory in which commands start; the variable `cwd` if none is said."""
        self.__cwd = (self.get_variable("cwd") or "/") if work_dir is None else work_dir

    def set_install_root(self, install_root=None):
        """The directory that becomes the artifact; the variable `install-root` if none is said."""
        self.__install_root = (self.get_variable("install-root") or "/") if install_root is None else install_root

    def set_root_read_only(self, root_read_only):
        """Whether commands may only write into marked directories."""
        self.__root_read_only = root_read_only

    def layout_add(self, element, dependency_path, location):
        """Has a dependency staged somewhere."""
        if self.__layout is None:
            self.__layout = {}
        self.__layout.setdefault(location, []).append((element, dependency_path))

    def add_commands(self, group_name, command_list):
        """Adds commands under a name that is shown while they run."""
        if self.__commands is None:
            self.__commands = {}
        self.__commands[group_name] = command_list

    def preflight(self):
        pass

    def get_unique_key(self):
        layout = self.__layout or {}
        return {
            "commands": self.__commands,
            "cwd": self.__cwd,
            "install-root": self.__install_root,
            "layout": {location: [path for _, path in layout[location]] for location in sorted(layout)},
            "root-read-only": self.__root_read_only,
        }

    def configure_sandbox(self, sandbox):
        sandbox.set_work_directory(self.__cwd)
        sandbox.set_environment(self.get_environment())
        sandbox.mark_directory(self.__install_root)

    def stage(self, sandbox):
        if self.__layout:
            _stage_layout(self, sandbox, self.__layout)
        else:
            with self.timed_activity("Staging dependencies", silent_nested=True):
                self.stage_dependency_artifacts(sandbox)
            with sandbox.batch(label="Integrating sandbox"):
                for dependency in self.dependencies():
                    dependency.integrate(sandbox)
        sandbox.get_virtual_directory().open_directory(self.__install_root.lstrip("/"), create=True)

    def assemble(self, sandbox):
        read_only = self.__root_read_only
        with sandbox.batch(root_read_only=read_only, collect=self.__install_root):
            for name, commands in self.__commands.items():
                with sandbox.batch(root_read_only=read_only, label="Running '{}'".format(name)):
                    for command in commands:
                        sandbox.run(["sh", "-c", "-e", command + "\n"], root_read_only=read_only, label=command)
            self.run_cleanup_commands(sandbox)
        return self.__install_root


def setup():
    return ScriptElement

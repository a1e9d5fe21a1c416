"""Elements that run commands over what they depend on."""

from .element import Element, _needs_job


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
        raise _needs_job(self, "configure_sandbox")

    def stage(self, sandbox):
        raise _needs_job(self, "stage")

    def assemble(self, sandbox):
        raise _needs_job(self, "assemble")


def setup():
    return ScriptElement

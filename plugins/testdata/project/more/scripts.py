"""An element that runs commands over a layout."""

from buildstream import ScriptElement


class ScriptsElement(ScriptElement):
    BST_MIN_VERSION = "2.0"

    def configure(self, node):
        node.validate_keys(["commands", "read-only", "work"])
        self.add_commands("commands", node.get_str_list("commands", []))
        self.set_root_read_only(node.get_bool("read-only", False))
        self.set_work_dir(node.get_str("work", None))
        self.set_install_root()

    def configure_dependencies(self, dependencies):
        for dependency in dependencies:
            location = "/"
            if dependency.config:
                dependency.config.validate_keys(["location"])
                location = dependency.config.get_str("location")
            self.layout_add(dependency.element, dependency.path, location)


def setup():
    return ScriptsElement

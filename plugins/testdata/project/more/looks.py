"""An element that looks at what it depends on."""

from buildstream import Element, ElementError


class LooksElement(Element):
    BST_MIN_VERSION = "2.0"
    BST_RUN_COMMANDS = False

    def configure(self, node):
        node.validate_keys(["do", "wanted"])
        self.do = node.get_str("do")
        self.wanted = node.get_str("wanted", None)
        self.told = []

    def configure_dependencies(self, dependencies):
        for dependency in dependencies:
            config = None if dependency.config is None else dependency.config.strip_node_info()
            self.told.append([dependency.path, dependency.element.name, config])
            if self.do == "illegal":
                dependency.element.configure(None)
            if self.do == "unknown":
                dependency.element.no_such_thing()

    def preflight(self):
        if self.do == "refuse":
            raise ElementError("refused", detail="a detail", reason="a-reason")

    def get_unique_key(self):
        found = [
            [element.name, element.get_kind(), element.project_name, element.normal_name]
            for element in self.dependencies(recurse=False)
        ]
        variable = self.get_variable(self.wanted) if self.wanted else None
        environment = sorted(self.get_environment().items())
        return [self.told, found, variable, environment, self.normal_name, self.name, self.get_artifact_name("KEY"), str(self)]


def setup():
    return LooksElement

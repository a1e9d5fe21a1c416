"""Asks BuildStream what the host of plugins is asked, and writes both down, for host_test.py.

    python3 plugins/ask_buildstream.py plugins/testdata/project [TARGET...] > plugins/testdata/answers.json

It runs where BuildStream 2 can be imported, on a copy of the project, where elements are what the project has in its
cases.txt, each after a line with three dashes and its name. Each element (or each target) is loaded alone; what BuildStream
gives its plugins becomes questions of spec/plugins.md, and what they make of it, or the error, the answers. Paths
of the project are written as @PROJECT@, those of the source directory as @SOURCES@, and of the package buildstream as @API@.
"""

import json
import os
import shutil
import sys
import tempfile

# The package beside this is what is to be compared, not what is asked.
sys.path.remove(os.path.dirname(os.path.abspath(__file__)))
import buildstream  # noqa: E402
import ujson  # noqa: E402
from buildstream import node, plugin, source  # noqa: E402
from buildstream._context import Context  # noqa: E402
from buildstream._exceptions import BstError  # noqa: E402
from buildstream._pluginfactory.elementfactory import ElementFactory  # noqa: E402
from buildstream._pluginfactory.pluginorigin import PluginType  # noqa: E402
from buildstream._pluginfactory.sourcefactory import SourceFactory  # noqa: E402
from buildstream._project import Project  # noqa: E402
from buildstream.element import Element  # noqa: E402

HERE = os.path.dirname(buildstream.__file__)
questions = []  # of the target that is loaded
of_plugin = {}  # id of a plugin: its question
current = []  # of plugins that are being made
warned = {}


class Texts(list):
    def index_of(self, text):
        if text not in self:
            self.append(text)
        return self.index(text)


def place(n, files):
    at = n.get_provenance()
    if at._is_synthetic:
        return [-1, 0, 0]
    return [files.index_of(at._displayname), at._line, at._col]


def tree(n, files):
    where = place(n, files)
    if isinstance(n, node.MappingNode):
        return where + [{key: tree(value, files) for key, value in n.items()}]
    if isinstance(n, node.SequenceNode):
        return where + [[tree(item, files) for item in n]]
    return where + [n.as_str()]


def begin(factory, kind, kind_of, fields, at, config):
    files = Texts()
    location, _, _ = factory.get_plugin_paths(kind)
    root, module = location or "core", kind
    file = os.path.join(root, kind + ".py")
    if location and factory._origins[kind].origin_type.value == "pip":
        while os.path.exists(os.path.join(root, "__init__.py")):
            root, _, package = root.rpartition("/")
            module = package + "." + module
    question = {
        "type": kind_of,
        "kind": kind,
        "file": file,
        "root": root,
        "module": module,
        **fields,
        "place": place(at, files),
        "config": tree(config, files),
        "files": files,
    }
    questions.append(question)
    return question


def create_source(self, context, project, meta, variables, create=SourceFactory.create):
    fields = {
        "element": meta.element_name,
        "index": meta.element_index,
        "directory": meta.directory,
        "mirror_directory": os.path.join(context.sourcedir, meta.kind),
    }
    question = begin(self, meta.kind, "source", fields, meta.config, meta.config)
    question["provenance"] = None if meta.provenance is None else tree(meta.provenance, question["files"])
    current.append(question)
    try:
        made = create(self, context, project, meta, variables)
    finally:
        current.pop()
    of_plugin[id(made)] = (made, question)
    return made


def create_element(self, context, project, load_element, create=ElementFactory.create):
    question = begin(self, load_element.kind, "element", {"element": load_element.name}, load_element.node, node.Node.from_dict({}))
    files = question["files"]
    question["dependencies"] = [
        {
            "name": dep.path,
            "kind": dep.element.kind,
            "project": project.name,
            "normal_name": os.path.splitext(dep.element.name.replace("/", "-"))[0],
            "build": bool(dep.dep_type & 1),
            "runtime": bool(dep.dep_type & 2),
            "config": config,
        }
        for dep in load_element.dependencies
        for config in ([tree(each, files) for each in dep.config_nodes] if dep.config_nodes else [None])
    ]
    current.append(question)
    try:
        made = create(self, context, project, load_element)
    finally:
        current.pop()
    question["sources"] = [each.get_str("kind") for each in load_element.node.get_sequence("sources", [])]
    of_plugin[id(made)] = (made, question)
    return made


def configure(self, config, configure=plugin.Plugin._configure):
    if current:
        question = current[-1]
        question["config"] = tree(config, question["files"])
        if isinstance(self, Element):
            question["configured"] = True
            question["variables"] = dict(iter(self._Element__variables))
            question["environment"] = dict(self._Element__environment)
    configure(self, config)


def warn(self, brief, *, detail=None, warning_token=None):
    name = plugin._prefix_warning(self, warning_token) if warning_token else None
    # Those of unaliased URLs in the configuration are the asker's business, which has the URLs.
    if name != "unaliased-url" or not self._get_configuring():
        warned.setdefault(id(self), []).append({"name": name, "text": brief, "detail": detail})


SourceFactory.create = create_source
ElementFactory.create = create_element
plugin.Plugin._configure = configure
plugin.Plugin.warn = warn


def spelled(value):
    name = getattr(value, "name", value)
    return name if name is None or isinstance(value, str) else name.lower().replace("_", "-").replace("prog-not-found", "program")


def error_of(error):
    if isinstance(error, BstError):
        detail = getattr(error, "detail", None)
        return {"domain": spelled(error.domain), "reason": spelled(error.reason), "message": str(error), "detail": detail}
    return {"domain": "plugin", "reason": "unhandled-exception", "type": type(error).__name__}


def answer(made):
    if isinstance(made, source.Source):
        resolved = made.is_resolved()
        return {
            "key": ujson.dumps(made.get_unique_key(), sort_keys=True, escape_forward_slashes=False) if resolved else None,
            "resolved": resolved,
            "ref": made.get_ref(),
            "urls": sorted(made._Source__marked_urls),
            "warnings": warned.get(id(made), []),
        }
    return {
        "key": ujson.dumps(made.get_unique_key(), sort_keys=True, escape_forward_slashes=False),
        "warnings": warned.get(id(made), []),
    }


def ask(directory, context, target):
    # A project of its own: BuildStream forgets nothing of a plugin that it could not load.
    project = Project(directory, context)
    project.ensure_fully_loaded()
    questions.clear()
    of_plugin.clear()
    warned.clear()
    failure = None
    try:
        project.load_elements([target])
    except Exception as error:
        failure = error_of(error)
    answers = {}
    for made, question in of_plugin.values():
        try:
            answers[id(question)] = answer(made)
        except Exception as error:
            answers[id(question)] = {"error": error_of(error)}
    for question in questions:
        # Core plugins are no business of the host's.
        if question["root"] == "core":
            continue
        # What is wrong with an element before its plugin has its configuration is none either, unless there is no plugin.
        configured = question.pop("configured", question["type"] == "source")
        if not configured and (failure["domain"] == "load" or failure["reason"] == "unhandled-exception"):
            continue
        told = answers.get(id(question), {})
        yield {"target": target, "question": question, "answer": told, "failure": failure}


def aliases_of(project):
    result = {}
    for alias in project.config._aliases.keys():
        result[alias] = {
            "url": project.get_alias_url(alias),
            "fetch": [each._mirror for each in project.get_alias_uris(alias)],
            "track": [each._mirror for each in project.get_alias_uris(alias, tracking=True)],
        }
    return result


def split(directory):
    """Writes the elements of cases.txt into files, if there is one."""
    path = os.path.join(directory, "cases.txt")
    if not os.path.exists(path):
        return
    with open(path, encoding="utf-8") as cases:
        for case in cases.read().split("--- ")[1:]:
            name, _, text = case.partition("\n")
            path = os.path.join(directory, "elements", name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)


def main():
    with tempfile.TemporaryDirectory() as home:
        directory = os.path.join(os.path.realpath(home), "project")
        shutil.copytree(sys.argv[1], directory, symlinks=True)
        split(directory)
        os.environ.update(XDG_CACHE_HOME=home, XDG_CONFIG_HOME=home)
        with Context() as context:
            context.load()
            context.messenger.set_render_status_cb(lambda: None)
            context.messenger.set_message_handler(lambda message, is_silenced=False: None)
            context.platform
            project = Project(directory, context)
            project.ensure_fully_loaded()
            elements = os.path.join(directory, project.element_path)
            targets = sys.argv[2:] or sorted(
                os.path.relpath(os.path.join(top, name), elements)
                for top, _, names in os.walk(elements)
                for name in names
                if name.endswith(".bst")
            )
            cases = [case for target in targets for case in ask(directory, context, target)]
            said = {"project": {"name": project.name, "directory": directory, "aliases": aliases_of(project)}, "cases": cases}
            text = json.dumps(said, indent=1, default=str)
            print(text.replace(directory, "@PROJECT@").replace(context.sourcedir, "@SOURCES@").replace(HERE, "@API@"))


if __name__ == "__main__":
    main()

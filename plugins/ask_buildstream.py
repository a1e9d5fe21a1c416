"""Asks BuildStream what the host of plugins is asked, and writes both down, for host_test.py.

    python3 plugins/ask_buildstream.py PROJECT [TARGET...] > golden.json

It runs where BuildStream 2 can be imported. Each element of the project (or each target) is loaded alone; what BuildStream
gives its plugins becomes questions of spec/plugins.md, and what they make of it, or the error, the answers. Paths
of the project are written as @PROJECT@, those of the source directory as @SOURCES@.
"""

import json
import os
import sys
import tempfile

import ujson
from buildstream import _yaml, node, plugin, source
from buildstream._context import Context
from buildstream._exceptions import BstError
from buildstream._pluginfactory.elementfactory import ElementFactory
from buildstream._pluginfactory.pluginorigin import PluginType
from buildstream._pluginfactory.sourcefactory import SourceFactory
from buildstream._project import Project
from buildstream.element import Element

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
    question = {
        "type": kind_of,
        "kind": kind,
        "file": os.path.join(location or "core", kind + ".py"),
        "root": location or "core",
        "module": kind,
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
    question["sources"] = len(load_element.node.get_sequence("sources", []))
    of_plugin[id(made)] = (made, question)
    return made


def configure(self, config, configure=plugin.Plugin._configure):
    if current:
        question = current[-1]
        question["config"] = tree(config, question["files"])
        if isinstance(self, Element):
            question["variables"] = dict(iter(self._Element__variables))
            question["environment"] = dict(self._Element__environment)
    configure(self, config)


def warn(self, brief, *, detail=None, warning_token=None):
    name = plugin._prefix_warning(self, warning_token) if warning_token else None
    if name != "unaliased-url":
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


def ask(project, target):
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


def main():
    directory = os.path.abspath(sys.argv[1])
    with tempfile.TemporaryDirectory() as home:
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
            cases = [case for target in targets for case in ask(project, target)]
            said = {"project": {"name": project.name, "directory": directory, "aliases": aliases_of(project)}, "cases": cases}
            text = json.dumps(said, indent=1, sort_keys=True, default=str)
            print(text.replace(directory, "@PROJECT@").replace(context.sourcedir, "@SOURCES@"))


if __name__ == "__main__":
    main()

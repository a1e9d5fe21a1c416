"""Elements at work: an element is made for its first action, and kept for those that follow."""

from .._exceptions import PluginError
from ..element import ElementError, _Staging
from ..node import _to_wire
from ..sandbox.sandbox import Sandbox, SandboxCommandError
from ..storage.directory import DirectoryError
from . import calls, questions
from .project import Project

_kept = None  # the question, its element, and the element's sandbox


def question_of(said):
    """The question that an action is about. An action that goes on with an element that isn't there is no request."""
    question = said["question"]
    if said["action"] in ("configure-sandbox", "script"):
        return question
    if _kept is None or _kept[0]["element"] != question["element"]:
        raise KeyError("{} of {!r}".format(said["action"], question["element"]))
    return _kept[0]


def act(said):
    """Does the work of an element."""
    global _kept
    action = said["action"]
    kept, _kept = _kept, None
    if action in ("stage-element", "assemble"):
        question, plugin, sandbox = kept
    else:
        question = said["question"]
        plugin = questions.element(question, Project(said.get("project") or {}))
        plugin._host_begin()
        if action == "script":
            script = plugin.generate_script()
            if not isinstance(script, str):
                raise PluginError("{}: generate_script() returned what is no text: {!r}".format(plugin, script))
            return {"script": script}
        sandbox = Sandbox(0)
        if not plugin.BST_RUN_COMMANDS:
            sandbox._disable_run()
    result = {}
    if action == "configure-sandbox":
        plugin.configure_sandbox(sandbox)
    elif action == "stage-element":
        with _Staging(plugin, sandbox):
            plugin.stage(sandbox)
    else:
        try:
            collect = plugin.assemble(sandbox)
        except (ElementError, SandboxCommandError) as error:
            # After these BuildStream caches what is there as the artifact of a build that failed, after others nothing.
            error._collects = {"collect": None if error.collect is None else _collected(sandbox, str(error.collect))}
            raise
        if not isinstance(collect, (str, type(None))):
            raise PluginError("{}: assemble() returned what is no path: {!r}".format(plugin, collect))
        result["collect"] = None if collect is None else _collected(sandbox, collect)
        public = plugin._host_public()
        result["public"] = None if public is None else _to_wire(public, {})
    result["sandbox"] = {**sandbox._told(), "own": plugin._host_environment()}
    _kept = question, plugin, sandbox
    return result


def _collected(sandbox, path):
    """A directory to collect as the asker names it. BuildStream finds it as it opens directories: the empty path is the root, and `.`
    and `..` may be in it. One that isn't there keeps its name, for the error."""
    if {"", ".", ".."}.isdisjoint(path.lstrip("/").split("/")):
        return path
    try:
        return sandbox.get_virtual_directory().open_directory(path.lstrip("/"))._path
    except DirectoryError:
        return path


def begin(ask, said):
    """An action begins, which may ask for things."""
    calls.begin(ask, said.get("directory"))


def end():
    """An action has ended."""
    calls.end()

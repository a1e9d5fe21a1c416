"""A source that does with the API what its configuration says, so that what comes out can be compared."""

import os

from buildstream import CoreWarnings, FastEnum, MappingNode, Node, ScalarNode, SequenceNode, Source, SourceError, utils
from buildstream.exceptions import ErrorDomain, LoadErrorReason
from buildstream.types import OverlapAction


class Colour(FastEnum):
    RED = "red"
    BLUE = "blue"


def shown(error):
    return [type(error).__name__, str(error), error.domain.name, getattr(error.reason, "name", error.reason)]


def caught(function, *arguments, **options):
    try:
        result = function(*arguments, **options)
    except Exception as error:
        return shown(error) if hasattr(error, "domain") else [type(error).__name__]
    return result


def scalars(self, node):
    given = node.get_mapping("given")
    result = []
    for key in given.keys():
        scalar = given.get_scalar(key)
        result.append([key, caught(scalar.as_str), caught(scalar.as_bool), caught(scalar.as_int), scalar.is_none()])
        result.append([caught(given.get_bool, key), caught(given.get_int, key), str(scalar.get_provenance())])
    return result


def kinds(self, node):
    given = node.get_mapping("given")
    calls = [given.get_str, given.get_mapping, given.get_sequence, given.get_scalar, given.get_node, given.get_str_list]
    result = []
    for key in [*given.keys(), "absent"]:
        for call in calls:
            found = caught(call, key)
            result.append([key, call.__name__, found.strip_node_info() if isinstance(found, Node) else found])
        found = caught(given.get_node, key, [ScalarNode, MappingNode])
        result.append([key, found.strip_node_info() if isinstance(found, Node) else found])
        result.append([key, caught(given.get_node, key, [SequenceNode], True) is None])
    return result


def defaults(self, node):
    given = node.get_mapping("given", {})
    return [
        given.get_str("x", "a"),
        given.get_str("x", None),
        given.get_bool("x", True),
        given.get_bool("x", False),
        given.get_int("x", 4),
        given.get_int("x", None),
        given.get_enum("x", Colour, "red").value,
        given.get_enum("x", Colour, None),
        given.get_str_list("x", []),
        given.get_str_list("x", None),
        given.get_mapping("x", None),
        given.get_mapping("x", {}).keys(),
        len(given.get_sequence("x", [])),
        given.get_scalar("x", None).is_none(),
        caught(given.get_enum, "x", Colour, "green"),
    ]


def enums(self, node):
    given = node.get_mapping("given")
    return [[key, str(caught(given.get_enum, key, Colour))] for key in given.keys()] + [
        repr(Colour.RED),
        str(Colour.BLUE),
        sorted(Colour.values()),
        [member.name for member in Colour],
        Colour("red") is Colour.RED,
        Colour.RED == OverlapAction.ERROR,
        caught(Colour, "green"),
    ]


def items(self, node):
    given = node.get_sequence("given")
    result = [len(given), [type(item).__name__ for item in given], [str(item.get_provenance()) for item in reversed(given)]]
    for index in range(len(given)):
        for call in (given.scalar_at, given.mapping_at, given.sequence_at):
            result.append(type(caught(call, index)).__name__)
        result.append(str(caught(given.mapping_at, index))[:200])
        result.append(str(caught(given.node_at, index, [ScalarNode]))[:200])
    result.append(caught(given.as_str_list))
    result.append(caught(given.scalar_at, 99))
    result.append(caught(node.get_sequence, "given", allowed_types=[ScalarNode]).__class__.__name__)
    return result


def changes(self, node):
    made = Node.from_dict({"a": 1, "b": [True, None, {"c": " text "}], "d": {}})
    clone = made.clone()
    made["a"] = "other"
    made["e"] = {"f": [1, "2"]}
    made["b"].value if False else None
    made.get_sequence("b").append({"x": "y"})
    made.get_sequence("b")[0] = False
    del made["d"]
    made.safe_del("d")
    given = node.get_mapping("given")
    before = str(given.get_node("key").get_provenance())
    given["key"] = "new"
    given["more"] = "new"
    return [
        made.strip_node_info(),
        clone.strip_node_info(),
        "a" in made,
        "z" in made,
        sorted(made.keys()),
        [key for key, _ in made.items()],
        len(list(made.values())),
        str(made.get_provenance()),
        before,
        str(given.get_node("key").get_provenance()),
        str(given.get_node("more").get_provenance()).split(" [")[1],
        str(given.get_node("key")),
        caught(Node.from_dict, {"a": 1.5}),
        caught(given.__setitem__, "x", object()),
        caught(given.__setitem__, 1, "x"),
        caught(Node.from_dict, []),
    ]


def validate(self, node):
    node.get_mapping("given").validate_keys(["a", "b"])


def path(self, node):
    options = node.get_mapping("options", {})
    return self.node_get_project_path(
        node.get_scalar("given"),
        check_is_file=options.get_bool("file", False),
        check_is_dir=options.get_bool("directory", False),
    )


def helpers(self, node):
    files = os.path.join(self.get_project_directory(), "files")
    paths = ["a", "a/b", "a/b/c.txt", "/x.txt", "d.txt", "[x]"]
    patterns = ["a", "*", "**", "*.txt", "a/*", "a/**", "?", "[ab]", "[!a]", "/x.*", "[", "**/c.txt", "[^a]", "a/b/[c-d].txt"]
    return [
        [[pattern, sorted(utils.glob(paths, pattern))] for pattern in patterns],
        list(utils.list_relative_paths(files)),
        utils.sha256sum(os.path.join(files, "a.txt")),
        caught(utils.sha256sum, "/nonexistent/x"),
        utils.url_directory_name("https://ex.example/a b/%20é-1.tar?x=1"),
        [utils.guess_version(text) for text in ("x-1.2.3.tgz", "x-1.2", "nothing", "v1.2/x-3.4.5-6.7", "1.2-3.4")],
        list(utils.get_bst_version()),
        utils.BST_ARBITRARY_TIMESTAMP,
        utils.get_umask() == os.umask(os.umask(0o22)) or True,
        caught(utils.get_host_tool, "no-such-tool-anywhere")[0::2],
        caught(utils.safe_remove, os.path.join(files, "none")),
        caught(utils.safe_copy, "/nonexistent/x", "/nonexistent/y")[:1],
    ]


def errors(self, node):
    given = node.get_str("given")
    if given == "temporary":
        raise SourceError("it may pass", detail="a detail", reason="a-reason", temporary=True)
    if given == "zero":
        return 1 // 0
    if given == "exit":
        raise SystemExit(3)
    raise SourceError("{}: plain".format(self))


def members(self, node):
    return [
        self.name,
        self.get_kind(),
        str(self),
        ErrorDomain.SOURCE.value,
        LoadErrorReason.INVALID_DATA.value,
        [CoreWarnings.OVERLAPS, CoreWarnings.UNALIASED_URL, CoreWarnings.REF_NOT_IN_TRACK],
        self.BST_REQUIRES_PREVIOUS_SOURCES_FETCH,
        Source.COMMON_CONFIG_KEYS,
    ]


def urls(self, node):
    result = []
    for url in node.get_str_list("given"):
        extra = {}
        self.translated.append(self.translate_url(url, primary=node.get_bool("primary", False), suffix=node.get_str("suffix", None), extra_data=extra))
        result.append(self.translated[-1])
    return result


def later(self, node):
    self.after = node.get_str_list("given")


def warnings(self, node):
    self.warn("a warning", detail="more of it", warning_token="of-mine")
    self.warn("another", warning_token=CoreWarnings.REF_NOT_IN_TRACK)
    self.warn("without a name")


def odd(self, node):
    return [1, True, None, "é\U0001f600\x7f\x01\"\\/", {"b": 1, "a": (2, 3)}, -1.5, 10**30, {}, [], {2: "x", 10: "y"}]


DO = {
    function.__name__: function
    for function in (scalars, kinds, defaults, enums, items, changes, validate, path, helpers, errors, members, urls, later, warnings, odd)
}


class ProbeSource(Source):
    BST_MIN_VERSION = "2.0"

    def configure(self, node):
        self.translated = []
        self.after = []
        self.when = node.get_str("when", "configure")
        self.node = node
        self.result = None
        if self.when == "configure":
            self.run()

    def run(self):
        self.result = DO[self.node.get_str("do")](self, self.node)

    def preflight(self):
        if self.when == "preflight":
            self.run()
        for url in self.after:
            self.mark_download_url(url)

    def get_unique_key(self):
        if self.when == "key":
            self.run()
        return self.result

    def get_ref(self):
        return None if self.when == "never" else "a reference"

    def load_ref(self, node):
        pass

    def set_ref(self, ref, node):
        pass

    def is_cached(self):
        return True


def setup():
    return ProbeSource

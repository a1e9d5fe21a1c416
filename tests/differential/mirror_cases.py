"""Where sources are had from: projects with aliases, mirrors, and the user's word about them, of which each asks what is tried in which order.

A case is {name: {"files": {path: text}, "config": user configuration, "arguments": [...], "element": its full name, "site": whether a package
of Python lies in the folder "site"}}. Its element has one source of kind `probe`, which fetches nothing, but says "TRY URL AS" of whatever it
is asked for and succeeds where AS is in `good`; or, as `plain`, one source of kind `whole` for each URL, which has no fetchers.
"""

import itertools
import json

PROBES = """\
from buildstream import Source, SourceError, SourceFetcher


class Fetcher(SourceFetcher):
    def __init__(self, source, url, primary):
        super().__init__()
        self.source, self.url, self.primary = source, url, primary
        self.mark_download_url(url)

    def fetch(self, alias_override=None, **kwargs):
        self.source.attempt(self.url, self.source.translate_url(self.url, alias_override=alias_override, primary=self.primary))


class Common(Source):
    BST_MIN_VERSION = "2.0"

    def configure(self, node):
        self.urls = node.get_str_list("urls")
        self.good = node.get_str_list("good", [])
        self.ref = node.get_str("ref", None)
        for number, url in enumerate(self.urls):
            self.mark_download_url(url, primary=number == 0)

    def preflight(self):
        pass

    def get_unique_key(self):
        return [self.urls, self.ref]

    def load_ref(self, node):
        self.ref = node.get_str("ref", None)

    def get_ref(self):
        return self.ref

    def set_ref(self, ref, node):
        node["ref"] = self.ref = ref

    def is_cached(self):
        return False

    def attempt(self, url, real):
        self.info("TRY {} {}".format(url, real))
        if real not in self.good:
            raise SourceError("nothing at {}".format(real))

    def track(self):
        self.attempt(self.urls[0], self.translate_url(self.urls[0]))
        return "found"

    def stage(self, directory):
        pass


class Probe(Common):
    def get_source_fetchers(self):
        return [Fetcher(self, url, number == 0) for number, url in enumerate(self.urls)]


class Whole(Common):
    def fetch(self):
        self.attempt(self.urls[0], self.translate_url(self.urls[0]))


def setup():
    return %s
"""

LISTED = """\
from buildstream import SourceMirror


class Listed(SourceMirror):
    BST_MIN_VERSION = "2.2"

    def configure(self, node):
        node.validate_keys(["aliases"])
        self.bases = {alias: urls.as_str_list()[0] for alias, urls in node.get_mapping("aliases").items()}
        self.set_supported_aliases(self.bases)

    def translate_url(self, *, alias, alias_url, source_url, extra_data):
        return self.bases[alias] + source_url


def setup():
    return Listed
"""

# What is to be had, and where: lib:a from LIB/ alone, app:b from PPA/ alone.
GOOD = ["LIB/a", "PPA/b"]
URLS = ["lib:a", "app:b"]
WORKING = {"north": {"lib": ["BIL/"], "app": ["PPA/"]}, "south": {"lib": ["LIB/"], "app": ["PAP/"]}, "east": {"lib": ["lib-east/"], "app": ["app-east/"]}}
BROKEN = {"north": {"lib": ["oak/"], "app": ["elm/"]}, "south": {"lib": ["fir/"], "app": ["ash/"]}, "east": {"lib": ["yew/"], "app": ["box/"]}}
# Several of one alias, as only a mirror that is none of a plugin has them.
SEVERAL = {"north": {"lib": ["BIL/", "IBL/"]}, "south": {"app": ["PAP/", "PPA/"]}, "east": {"lib": ["LIB/"]}}


def mirrors(table, plugin):
    if plugin:
        return [{"name": name, "kind": "listed", "config": {"aliases": aliases}} for name, aliases in table.items()]
    return [{"name": name, "aliases": aliases} for name, aliases in table.items()]


def project(name, **more):
    return {"name": name, "min-version": "2.2", "element-path": "elements", "aliases": {"lib": "LIB/", "app": "APP/"}, **more}


def plugins(*kinds):
    local = {"origin": "local", "path": "plugins"}
    return [{**local, "sources": ["probe", "whole"]}] + ([{**local, "source-mirrors": ["listed"]}] if "listed" in kinds else [])


def element(urls=URLS, plain=False):
    if plain:
        sources = [{"kind": "whole", "urls": [url], "good": GOOD, "ref": "r"} for url in urls]
    else:
        sources = [{"kind": "probe", "urls": urls, "good": GOOD, "ref": "r"}]
    return {"kind": "import", "sources": sources}


def case(conf, elements, *, below="", config=None, arguments=("source", "fetch"), target="test.bst", site=False, more=None):
    files = {"project.conf": json.dumps(conf, indent=1)}
    for path, content in elements.items():
        files[path] = json.dumps(content, indent=1)
    for top in {"", below}:
        files[top + "plugins/probe.py"] = PROBES % "Probe"
        files[top + "plugins/whole.py"] = PROBES % "Whole"
        files[top + "plugins/listed.py"] = LISTED
    files.update(more or {})
    return {"files": files, "config": config or {}, "arguments": [*arguments, target], "element": target, "site": site}


def of_plugins(table):
    """The same with one URI for each alias."""
    return {name: {alias: uris[:1] for alias, uris in aliases.items()} for name, aliases in table.items()}


def policies(track):
    """What of project and user is tried, by `source` of `fetch` or `track`."""
    tables = {"none": None, "working": WORKING, "broken": BROKEN, "several": SEVERAL, "empty": {}}
    of_project = ("none", "working", "broken", "several")
    verb = "track" if track else "fetch"
    for policy, ours, users, base, plugin in itertools.product(
        ("all", "aliases", "mirrors", "user"), of_project, tables, (True, False), (True, False)
    ):
        if track and (base or "several" in (ours, users)):
            continue
        if plugin and "several" in (ours, users):
            continue
        conf = project("test", plugins=plugins("listed"))
        if base:
            conf["aliases"]["app"] = "PPA/"
        if ours != "none":
            conf["mirrors"] = mirrors(tables[ours], plugin)
        config = {verb: {"source": policy}}
        if users != "none":
            config["projects"] = {"test": {"mirrors": mirrors(tables[users], plugin)}}
        name = "%s %s: project %s, user %s%s%s" % (verb, policy, ours, users, ", good alias" if base else "", ", plugins" if plugin else "")
        yield name, case(conf, {"elements/test.bst": element()}, config=config, arguments=("source", verb))


def defaults():
    """Which mirror comes first."""
    for line, user, plugin in itertools.product((None, "south"), (None, "east", "nowhere"), (True, False)):
        conf = project("test", plugins=plugins("listed"), mirrors=mirrors(BROKEN, plugin))
        config = {"projects": {"test": {"default-mirror": user}}} if user else {}
        arguments = (("--default-mirror", line) if line else ()) + ("source", "fetch")
        name = "default mirror: command line %s, user %s%s" % (line, user, ", plugins" if plugin else "")
        yield name, case(conf, {"elements/test.bst": element()}, config=config, arguments=arguments)


def expanded():
    """Variables in what mirrors say."""
    for plugin in (True, False):
        table = {"north": {"lib": ["%{project-root-uri}/lib/"], "app": ["%{place}/"]}, "south": {"lib": ["LIB/"], "app": ["PPA/"]}}
        conf = project("test", plugins=plugins("listed"), variables={"place": "at-%{project-name}"}, mirrors=mirrors(table, plugin))
        yield "variables%s" % (", plugins" if plugin else ""), case(conf, {"elements/test.bst": element()})


def origins():
    """Where a mirror's plugin comes from."""
    for origin in ("local", "junction", "pip", "undeclared"):
        conf = project("test", plugins=plugins(), mirrors=mirrors(WORKING, True))
        elements, more = {"elements/test.bst": element()}, {}
        if origin == "local":
            conf["plugins"].append({"origin": "local", "path": "plugins", "source-mirrors": ["listed"]})
        elif origin == "junction":
            conf["plugins"].append({"origin": "junction", "junction": "below.bst", "source-mirrors": ["listed"]})
            elements["elements/below.bst"] = {"kind": "junction", "sources": [{"kind": "local", "path": "below"}]}
            elements["below/project.conf"] = project("below", plugins=plugins("listed"))
            more["below/elements/a.bst"] = "kind: stack\n"
            more["below/plugins/listed.py"] = LISTED
            more["below/plugins/probe.py"] = PROBES % "Probe"
        elif origin == "pip":
            conf["plugins"].append({"origin": "pip", "package-name": "probe-mirrors>=1.0", "source-mirrors": ["listed"]})
            more["site/probe_mirrors/__init__.py"] = ""
            more["site/probe_mirrors/listed.py"] = LISTED
            more["site/probe_mirrors-1.2.dist-info/METADATA"] = "Metadata-Version: 2.1\nName: probe-mirrors\nVersion: 1.2\n"
            more["site/probe_mirrors-1.2.dist-info/RECORD"] = ""
            more["site/probe_mirrors-1.2.dist-info/entry_points.txt"] = "[buildstream.plugins.sourcemirrors]\nlisted = probe_mirrors.listed\n"
        yield "origin " + origin, case(conf, elements, site=origin == "pip", more=more)


def below():
    """Projects behind junctions, whose aliases may be mapped to those of the project above."""
    for own, unaliased, closed, policy, mapped, how, plugin, plain in itertools.product(
        (True, False), (True, False), (True, False), ("aliases", "mirrors"), (("lib",), ("lib", "app"), "identity"), ("same", "prefix", "wrong"),
        (True, False), (True, False),
    ):  # fmt: skip
        if mapped == "identity" and how != "same":
            continue
        called = {"same": "%s", "prefix": "below/%s", "wrong": "%s"}[how]
        above = lambda alias: "not-" + alias if how == "wrong" else called % alias
        in_parent = lambda table: {name: {called % alias: uris for alias, uris in aliases.items()} for name, aliases in table.items()}
        conf = project(
            "test",
            plugins=plugins("listed"),
            aliases={called % "lib": "LIB/", called % "app": "PPA/" if policy == "aliases" else "APP/"},
            mirrors=mirrors(in_parent(WORKING), plugin),
        )
        if closed:
            conf["junctions"] = {"disallow-subproject-uris": "true"}
        # The project below goes by its own alias where it may, and that is no good where it shouldn't.
        free = policy == "aliases" and not closed and mapped == ("lib",)
        under = project("below", plugins=plugins(), aliases={"lib": "BIL/", "app": "PPA/" if free else "APP/"})
        if own:
            under["mirrors"] = mirrors(BROKEN, False)
        junction = {"kind": "junction", "sources": [{"kind": "local", "path": "below"}]}
        junction["config"] = {"map-aliases": "identity"} if mapped == "identity" else {"aliases": {alias: above(alias) for alias in mapped}}
        name = "below, %s: maps %s%s%s%s%s%s%s" % (
            policy, "all" if mapped == "identity" else "+".join(mapped), {"same": "", "prefix": " by prefix", "wrong": " wrongly"}[how],
            ", has mirrors" if own else "", ", a URL without alias" if unaliased else "", ", closed" if closed else "", ", plugins" if plugin else "",
            ", without fetchers" if plain else "",
        )  # fmt: skip
        elements = {
            "elements/below.bst": junction,
            "below/project.conf": under,
            "below/elements/test.bst": element(["lib:a", "PPA/b"] if unaliased else URLS, plain),
        }
        yield name, case(conf, elements, below="below/", config={"fetch": {"source": policy}}, target="below.bst:test.bst")


def tries():
    """All cases by their names."""
    return dict(itertools.chain(policies(False), policies(True), defaults(), expanded(), origins(), below()))


def as_native(made):
    """A case with its sources of a native kind, which needs no Python to be loaded; None where that asks nothing new."""
    path = next(path for path in made["files"] if path.endswith("elements/test.bst"))
    content = json.loads(made["files"][path])
    urls = [url for source in content["sources"] for url in source["urls"]]
    sources = [{"kind": "remote", "url": url, "ref": "0" * 64} for url in urls]
    return {**made, "files": {**made["files"], path: json.dumps({"kind": "import", "sources": sources}, indent=1)}}

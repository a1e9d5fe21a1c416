"""What a kind of source, an action or a state of an element is called is said in one place: nobody else tells them apart
by their names.

`names_test.py list` prints every place that has such a name as a string, those that mean something else included."""

import os
import re
import sys
import unittest

ROOT = os.path.abspath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../.."))
FOLDERS = ["base", "model", "yaml", "wire", "store", "project", "sandbox", "elements", "broker", "loader", "plugins", "scheduler", "jobs", "remote", "renderer", "cli"]
STRING = re.compile(r'"((?:[^"\\]|\\.)*)"')

# File (or folder), name: what else it means there. One that is needed no more has to go.
OTHER_MEANINGS = {
    "kinds of sources": {
        ("cli/elements_json.cc", "workspace"): "a field of `show --json`",
        ("cli/source_verbs.cc", "workspace"): "a verb",
        ("cli/remotes.cc", "remote"): "a domain of errors",
        ("cli/runner_commands.cc", "remote"): "a field of `runner list --json`",
        ("cli/sbom.cc", None): "media of source info",
        ("cli/sbom_cyclonedx.cc", None): "media of source info",
        ("elements/remote_executor.cc", "remote"): "a domain of errors",
        ("elements/collect_manifest.cc", None): "media of source info, and words of a manifest",
        ("elements/spdx.cc", None): "media of source info, and words of a manifest",
        ("jobs/", "remote"): "a domain of errors",
        ("loader/elements/kinds.cc", "pip"): "a kind of elements",
        ("loader/project/plugins.cc", "local"): "an origin of plugins",
        ("loader/project/plugins.cc", "pip"): "an origin of plugins",
        ("loader/project/project_urls.cc", "git"): "a scheme of URLs",
        ("model/remotes.cc", "remote"): "a domain of errors",
        ("model/source_kinds.h", None): "the table",
        ("project/places.cc", "local"): "the one kind whose `path` is where a junction's project is",
        ("remote/", "remote"): "a domain of errors",
        ("scheduler/", "remote"): "a domain of errors",
        ("wire/access.cc", "remote"): "the beginning of a user id of ZeroMQ's",
        ("wire/job_messages.h", "remote"): "a field of messages",
        ("renderer/lines.cc", "workspace"): "the beginning of a format's variables",
    },
    "actions": {
        ("cli/", "build"): "a verb; dependencies to build with",
        ("cli/option_verbs.cc", None): "verbs",
        ("cli/source_verbs.cc", None): "verbs",
        ("cli/remotes.cc", "check"): "a verb of sluice-remote",
        ("cli/remote_option.cc", "push"): "a key of a remote",
        ("loader/snapshot_request.cc", "build"): "dependencies to build with",
        ("loader/store_access.cc", "build"): "dependencies to build with",
        ("loader/elements/dependencies.cc", "build"): "dependencies to build with",
        ("loader/elements/plugin_asker.cc", None): "fields of plugins/1",
        ("loader/load_many.cc", "track"): "where it is tracked from",
        ("model/actions.h", None): "the table",
        ("model/model.h", "fetch"): "what an obstacle is one to",
        ("project/cache_servers.cc", "push"): "a key of the configuration",
        ("project/user_config.cc", None): "keys of the configuration",
        ("remote/cas_main.cc", None): "what its URLs are for",
        ("remote/requests.cc", "check"): "a request's verb",
        ("remote/requests.cc", "push"): "the beginning of a request's verb",
        ("scheduler/run.cc", "build"): "dependencies to build with",
        ("wire/", "build"): "a field",
        ("wire/messages.h", "check"): "a field",
        ("wire/messages.h", "track"): "a field",
        ("wire/model_fields.h", "push"): "a field",
        ("renderer/trace/otlp.cc", "build"): "a word of the conventions for CI/CD",
    },
    "states of elements": {
        ("cli/elements_json.cc", "junction"): "a field of `show --json`",
        ("cli/elements_json.cc", "unsupported"): "a field of `show --json`",
        ("cli/explain.cc", None): "verdicts of `explain`",
        ("cli/explanation.cc", None): "verdicts of `explain`",
        ("cli/runner_commands.cc", "failed"): "a field of `runner list --json`",
        ("cli/runner_commands.cc", "waiting"): "a field of `runner list --json`",
        ("cli/session_commands.cc", "failed"): "a reason of errors",
        ("cli/work.cc", "failed"): "a reason of errors",
        ("jobs/job.cc", "junction"): "a kind of elements",
        ("jobs/job_main.cc", "failed"): "a kind of replies",
        ("loader/", "junction"): "a kind of elements, and a key of dependencies",
        ("model/states.cc", "junction"): "a kind of elements",
        ("model/states.h", None): "the table",
        ("project/places.cc", "junction"): "a kind of elements",
        ("project/read_ahead.cc", "junction"): "a key of dependencies",
        ("remote/", "unsupported"): "a reason of errors",
        ("cli/history_json.cc", "failed"): "a field of `session summary --json`",
        ("renderer/calm_lines.cc", "failed"): "how a run has ended",
        ("renderer/metrics/figures.cc", None): "values of labels",
        ("scheduler/session_model.cc", "cached"): "where what an element needs came from",
        ("scheduler/session_model.cc", "failed"): "a reason of errors",
        ("wire/", None): "fields",
    },
}


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as file:
        return file.read()


def names_of(what):
    if what == "kinds of sources":
        text = read("model/source_kinds.h")
        return set(re.findall(r'\.kind = "(\w+)"', text)) | {re.search(r'kWorkspaceKind = "(\w+)"', text).group(1)}
    if what == "actions":
        return set(re.findall(r'\.name = "([a-z-]+)"', read("model/actions.h")))
    return set(re.findall(r'\{ElementState::k\w+, "([a-z ]+)"', read("model/states.h")))


def places(names):
    """File, line number, name and line, of strings that are exactly such a name; but for tests."""
    for folder in FOLDERS:
        for place, _, files in sorted(os.walk(os.path.join(ROOT, folder))):
            for file in sorted(files):
                if not file.endswith((".h", ".cc")) or file.endswith("_test.cc") or "test_" in file:
                    continue
                path = os.path.relpath(os.path.join(place, file), ROOT)
                for number, line in enumerate(read(path).splitlines(), 1):
                    if line.lstrip().startswith("//"):
                        continue
                    for text in STRING.findall(line.split("  //")[0]):
                        if text in names:
                            yield path, number, text, line.strip()


def meaning(others, path, name):
    for (place, said), why in others.items():
        if said in (name, None) and (path.startswith(place) if place.endswith("/") else path == place):
            return (place, said), why
    return None, None


class Names(unittest.TestCase):
    def check(self, what):
        names = names_of(what)
        self.assertGreater(len(names), 5)
        others = OTHER_MEANINGS[what]
        used = set()
        wrong = []
        for path, number, name, line in places(names):
            entry, _ = meaning(others, path, name)
            if entry is None:
                wrong.append(f"{path}:{number}: {name}: {line}")
            used.add(entry)
        self.assertEqual(wrong, [])
        self.assertEqual(sorted(map(str, others.keys() - used)), [], "meanings that nothing has any more")

    def test_no_kind_of_source_is_known_by_its_name(self):
        self.check("kinds of sources")

    def test_no_action_is_known_by_its_name(self):
        self.check("actions")

    def test_no_state_of_an_element_is_spelt_outside_of_its_table(self):
        self.check("states of elements")


if __name__ == "__main__":
    if sys.argv[1:] == ["list"]:
        for what, others in OTHER_MEANINGS.items():
            print(f"# {what}")
            for path, number, name, line in places(names_of(what)):
                print(f"{path}:{number}: {name}: {meaning(others, path, name)[1] or 'A KIND, AN ACTION OR A STATE'}")
    else:
        unittest.main()

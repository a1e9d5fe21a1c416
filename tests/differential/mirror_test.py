"""Where sources are had from, against what BuildStream 2.8.1 tried (../golden/mirrors.json). Head of mirror_answers.py.

Of every case is loaded what it would try, with sources of a native kind, in one process; some go all the way, with plugins, through a session.
"""

import json
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "../support")]
import mirror_answers  # noqa: E402
import mirror_cases  # noqa: E402
from sluice_test import SluiceTest, main  # noqa: E402

# One of so many cases of the same answer goes through a session.
EVERY = 40


def at_mirror(case, url):
    """What the plugin of a mirror would make of a URL."""
    _, number, alias, rest = url.split(":", 3)
    conf = json.loads(case["files"]["project.conf"])
    mirrors = case["config"].get("projects", {}).get("test", {}).get("mirrors") or conf["mirrors"]
    mapped = json.loads(case["files"].get("elements/below.bst", "{}")).get("config", {}).get("aliases", {})
    base = mirrors[int(number)]["config"]["aliases"][mapped.get(alias, alias)][0]
    return base.replace("%{project-root-uri}", "file://@DIR@").replace("%{place}", "at-test") + rest


def predicted(case, loaded):
    """What the answer is when things are tried in the order that loading says."""
    if "error" in loaded:
        return [loaded["error"], "", []]
    path = next(path for path in case["files"] if path.endswith("elements/test.bst"))
    written = [source["url"] for source in json.loads(case["files"][path])["sources"]]
    track = "track" in case["arguments"]
    tries = []
    for url, source in list(zip(written, loaded["sources"]))[: 1 if track else None]:
        for real in source["track" if track else "urls"]:
            real = at_mirror(case, real) if real.startswith("plugin-mirror:") else real
            tries.append("%s %s" % (url, real))
            if real in mirror_cases.GOOD:
                break
        else:
            return ["stream -", "source -", tries]
    return ["success", "", tries]


class Mirrors(SluiceTest):
    def setUp(self):
        super().setUp()
        self.golden = mirror_answers.golden()
        self.cases = mirror_cases.tries()
        self.assertEqual(list(self.golden), list(self.cases))

    def test_all_loaded(self):
        place = mirror_answers.Place(os.path.join(self.directory, "loaded"))
        known = {}
        # The plugins' process isn't what is tested here.
        settings = {"plugins": {"sandbox": False}}
        with subprocess.Popen([os.path.join(self.bin, "loader_many")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=self.env) as many:
            for name, expected in self.golden.items():
                case = mirror_cases.as_native(self.cases[name])
                if case["site"]:
                    continue  # its package is in the environment of a process
                text = json.dumps([case["files"], case["config"], case["arguments"]])
                if text not in known:
                    place.make({**case, "config": {**case["config"], **settings}})
                    asked = {"directory": place.project, "config": place.config, "target": case["element"]}
                    if "--default-mirror" in case["arguments"]:
                        asked["mirror"] = case["arguments"][1]
                    many.stdin.write(json.dumps(asked) + "\n")
                    many.stdin.flush()
                    loaded = json.loads(many.stdout.readline())
                    known[text] = predicted(case, loaded), loaded
                answer, loaded = known[text]
                answer = [*answer[:2], [line.replace(place.project, "@DIR@") for line in answer[2]]]
                if mirror_answers.differs(answer, expected):
                    with self.subTest(case=name):
                        self.fail("BuildStream: %s\nSluice:      %s\n%s" % (json.dumps(expected), json.dumps(answer), loaded.get("message")))
            many.stdin.close()
        print("mirrors compared=%d loaded=%d" % (len(self.golden), len(known)))

    def test_some_for_real(self):
        seen, names = {}, []
        for name, answer in self.golden.items():
            kinds = (json.dumps(answer[:2]), "plugins" in name, "without fetchers" in name, name.split()[0])
            seen[kinds] = seen.get(kinds, 0) + 1
            if seen[kinds] % EVERY == 1 or not name.startswith(("fetch", "track", "below")):
                names.append(name)

        def report(name, expected, answer, told):
            with self.subTest(case=name):
                self.fail("BuildStream: %s\nSluice:      %s\n%s" % (json.dumps(expected), json.dumps(answer), told))

        count = mirror_answers.check(self.bin, os.path.join(self.directory, "real"), self.env, names, report)
        print("mirrors through sessions=%d" % count)
        self.assertGreater(count, 20)
        self.assert_nothing_left()


main()

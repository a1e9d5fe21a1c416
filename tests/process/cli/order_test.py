"""The order of builds goes by how long they took the last time; those are in the cache directory."""

import json
import os
import sqlite3
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../support"))
from sluice_test import SluiceTest, main  # noqa: E402
from workload import BASE, CONF, busybox_base, manual  # noqa: E402

SHORT = 6


class Order(SluiceTest):
    def setUp(self):
        super().setUp()
        self.at = self.project({"project.conf": CONF, "elements/base.bst": BASE})
        busybox_base(self.at)
        self.turn("first")

    def turn(self, what):
        """Gives all elements other keys under the same names."""
        for number in range(SHORT):
            self.write("project/elements/a%d.bst" % number, manual("a%d" % number, "echo %s; busybox sleep 0.05" % what))
        self.write("project/elements/z.bst", manual("z", "echo %s; busybox sleep 0.6" % what))
        names = ["a%d.bst" % number for number in range(SHORT)] + ["z.bst"]
        self.write("project/elements/all.bst", manual("all", "echo " + what, depends=names))

    def started(self, name="log"):
        """The elements whose builds started, in that order."""
        log = os.path.join(self.directory, name)
        self.sluice("--builders", "1", "--json-log", log, "build", "all.bst", cwd=self.at)
        with open(log, encoding="utf-8") as file:
            events = [json.loads(line) for line in file]
        os.unlink(log)
        return [event["element"]["name"] for event in events if event["type"] == "job.started"]

    def database(self):
        return os.path.join(self.cachedir, "sluice", "durations.sqlite")

    def test_what_took_long_goes_first(self):
        first = self.started()
        self.assertEqual(first[0], "base.bst")
        self.assertNotEqual(first[1], "z.bst", "the test needs an order in which it isn't first by chance")
        with sqlite3.connect(self.database()) as database:
            times = {element: time for element, time in database.execute("SELECT element, time FROM durations WHERE project = 'small' AND action = 'build'")}
        self.assertEqual(set(times), set(first))
        self.assertGreater(times["z.bst"], 600_000_000)
        self.turn("second")
        second = self.started()
        self.assertEqual(second[0], "z.bst")
        self.assertEqual(second[-1], "all.bst")
        self.assert_nothing_left()

    def test_a_damaged_database_costs_an_order_only(self):
        self.started()
        with open(self.database(), "wb") as file:
            file.write(b"no database" * 1000)
        self.turn("second")
        self.started()
        with sqlite3.connect(self.database()) as database:
            self.assertEqual(database.execute("SELECT count(*) FROM durations").fetchone()[0], SHORT + 2)
        self.assert_nothing_left()


if __name__ == "__main__":
    main()

"""Sources of the kinds git and git_repo against what BuildStream 2.8.1 makes of them (../golden/git). Head of git_answers.py."""

import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "../support")]
import git_answers  # noqa: E402
from sluice_test import SluiceTest, main  # noqa: E402


class Git(SluiceTest):
    IN_MEMORY = True

    def test_all(self):
        wrong, count = git_answers.check(self.bin, os.path.join(self.directory, "git"), self.env)
        for name, part, expected, found in wrong:
            with self.subTest(element=name, part=part):
                self.fail("\n".join(git_answers.shown_difference(expected, found)))
        print("git compared=%d differ=%d" % (count, len(wrong)))
        self.assertGreater(count, 0)
        self.assert_nothing_left()


main()

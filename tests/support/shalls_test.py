"""Every SHALL of spec/ has a number, and every number a test that cites it.

A requirement is a list item that begins with its number, "- **J13** ...": a letter for each document, and a number that
stays when others come and go. A test cites it as "J13", "J13 to J15" or "J13–J15" in a name, a string or a comment.
What no test cites yet stands in UNTESTED, with what it would take: the list only gets shorter."""

import os
import re
import sys
import unittest

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
SPEC = os.path.join(ROOT, "spec")
LETTERS = {"access": "A", "control": "C", "jobs": "J", "plugins": "H", "records": "R", "sandbox": "S", "session": "P", "snapshot": "L"}
UNTESTED = {
    "S52": "clients of these services are recc and trexe, which Debian 12 doesn't have: tried by hand (remote/README.md)",
    "S53": "as S52",
}

NUMBER = re.compile(r"- \*\*([A-Z])(\d+[a-z]?)\.?\*\* ")
CITED = re.compile(r"\b([%s])(\d+[a-z]?)(?:(?: to |–|-)\1(\d+))?\b" % "".join(LETTERS.values()))
LEFT_OUT = ("build", ".git")


def read(path):
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read()


def requirements():
    """{document: [(number or None, line, text)]}: the list items with a number, and what else has a SHALL in it."""
    found = {}
    for name in sorted(os.listdir(SPEC)):
        document = name.removesuffix(".md")
        if document == "README":
            continue
        found[document], inside = [], False
        for line, text in enumerate(read(os.path.join(SPEC, name)).splitlines(), 1):
            number = NUMBER.match(text)
            if number:
                found[document].append([number.group(1) + number.group(2), line, text])
            elif inside and text.startswith("  "):
                found[document][-1][2] += "\n" + text
            elif re.search(r"\bSHALL\b", text) and "key words SHALL" not in text:
                found[document].append([None, line, text])
            inside = number is not None or (inside and text.startswith("  "))
    return found


def tests():
    for at, folders, names in os.walk(ROOT):
        within = os.path.relpath(at, ROOT)
        folders[:] = [name for name in folders if not (within == "." and name in LEFT_OUT) and name != "golden"]
        for name in names:
            path = os.path.join(at, name)
            code = name.endswith((".cc", ".h", ".py"))
            if name.endswith(("_test.cc", "_test.py")) or (code and within.split(os.sep)[0] == "tests"):
                if not os.path.samefile(path, __file__):
                    yield path


def citations(text):
    for letter, first, last in CITED.findall(text):
        yield letter + first
        if last:
            yield from ("%s%d" % (letter, number) for number in range(int(first), int(last) + 1))


class Shalls(unittest.TestCase):
    def test_each_has_a_number(self):
        for document, all_of_it in requirements().items():
            self.assertTrue(all_of_it, document)
            for number, line, text in all_of_it:
                with self.subTest(place="spec/%s.md:%d" % (document, line)):
                    self.assertIsNotNone(number, "a SHALL without a number: " + text)
                    self.assertEqual(number[0], LETTERS[document])
            numbers = [number for number, _, _ in all_of_it if number]
            self.assertEqual([number for number in set(numbers) if numbers.count(number) > 1], [], "numbers that are there twice")

    def test_each_is_cited_by_a_test(self):
        cited = {number for path in tests() for number in citations(read(path))}
        there = {number: (document, line, text) for document, all_of_it in requirements().items() for number, line, text in all_of_it}
        for number, (document, line, text) in there.items():
            if number is None or not re.search(r"\bSHALL\b", text):
                continue
            with self.subTest(number=number):
                if number in UNTESTED:
                    self.assertFalse(number in cited, "a test cites it: take it out of UNTESTED")
                else:
                    self.assertTrue(number in cited, "no test cites spec/%s.md:%d: %s" % (document, line, text))
        for number in UNTESTED:
            self.assertIn(number, there, "UNTESTED names what spec/ doesn't have")

    def test_what_is_cited_is_there(self):
        there = {number for all_of_it in requirements().values() for number, _, _ in all_of_it}
        # In test names and the like, "(J13, R4)" or "J13: ": a letter and digits elsewhere may be anything.
        claim = re.compile(r"\"(?:([^\"\n]*)\(((?:[AJRCSPL]\d+[a-z]?(?:, | to |–|-)?)+)\)|((?:[AJRCSPL]\d+[a-z]?(?:, | to |–|-)?)+): )")
        for path in tests():
            for found in claim.finditer(read(path)):
                for number in citations(found.group(2) or found.group(3)):
                    with self.subTest(test=os.path.relpath(path, ROOT)):
                        self.assertIn(number, there, found.group(0))


if __name__ == "__main__":
    sys.argv[1:] = [word for word in sys.argv[1:] if word.startswith("-")]
    unittest.main(verbosity=2)

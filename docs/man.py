#!/usr/bin/env python3
"""Makes manual pages of docs/commands/*.md.

    man.py VERSION FROM INTO [COMMAND=FILE...]

A page for each file, sluice-build.1 of build.md, sluice.1 of README.md; a page of several verbs is found under the name of each of them
and of their group. COMMAND=FILE, as "sluice-cas DIRECTORY=cache-server.md", is the page of another program, whose first heading is
"sluice-cas: what it is". It knows as much of Markdown as these files use: headings, paragraphs, tables, lists, code, links.
"""

import datetime
import glob
import os
import re
import sys
import textwrap

COMMAND = re.compile(r"sluice ([a-z][a-z-]*)((?: [a-z][a-z-]*)?)((?: \| [a-z][a-z-]*)*)(?![a-z-])")
# What stands between backquotes, a link, **strong**, *emphasis*.
INLINE = re.compile(r"`([^`]+)`|\[([^\]]*(?:`[^`]*`[^\]]*)*)\]\(([^)]*)\)|\*\*([^*]+)\*\*|(?<![\w*])\*([^*\s][^*]*)\*(?![\w*])")


def escaped(text, code=False):
    text = text.replace("\\", "\\e").replace("'", "\\(aq").replace("`", "\\(ga").replace("^", "\\(ha").replace("~", "\\(ti")
    if code:
        # A long list may go on in another line.
        text = text.replace("-", "\\-").replace(",", ",\\:" if len(text) > 60 else ",")
    return "".join(c if ord(c) < 128 else "\\[u%04X]" % ord(c) for c in text)


class Page:
    def __init__(self, name, text, what, version, date):
        self.name = name
        self.also = set()
        self.lines = ['.TH "%s" 1 "%s" "Sluice %s" "Sluice"' % (escaped(name.upper(), True), date, version)]
        # Options aren't to be taken apart.
        self.lines += [".nh", ".ad l"]
        self.lines += [".SH NAME", "%s \\- %s" % (escaped(name, True), self.inline(what))]
        self.commands = []
        self.body(text)
        also = sorted(self.also - {name})
        if also:
            self.lines += [".SH SEE ALSO"] + ["\\fB%s\\fR(1)%s" % (escaped(one, True), "," if one != also[-1] else "") for one in also]

    def inline(self, text):
        out, at = "", 0
        # A pipe is written \| in a table.
        text = text.replace("\\|", "|")
        for found in INLINE.finditer(text):
            out += escaped(text[at:found.start()])
            at = found.end()
            code, label, target, strong, emphasis = found.groups()
            if code is not None:
                out += "\\fB%s\\fR" % escaped(code, True)
            elif label is not None:
                self.link(target)
                out += self.inline(label)
            elif strong is not None:
                out += "\\fB%s\\fR" % escaped(strong)
            else:
                out += "\\fI%s\\fR" % escaped(emphasis)
        return out + escaped(text[at:])

    def link(self, target):
        file = target.split("#")[0]
        if file.endswith(".md") and "/" not in file:
            self.also.add("sluice" if file == "README.md" else "sluice-" + file[:-3])

    def add(self, text):
        """Lines of text, none of which is taken for a request."""
        for line in textwrap.wrap(text, 78, break_long_words=False, break_on_hyphens=False):
            self.lines.append(("\\&" if line[0] in ".'" else "") + line)

    def synopsis(self, heading):
        """A heading is a command line: names are bold, what stands for something else is not."""
        words = [escaped(word) if re.search("[A-Z]", word) or word in "|..." else "\\fB%s\\fR" % escaped(word, True) for word in heading.split()]
        if not self.lines[-1].startswith(".SH"):
            self.lines.append(".PP")
        self.lines.append(" ".join(words))

    def body(self, text):
        blocks = [block for block in re.split(r"\n\s*\n", text.strip("\n"))]
        started = False
        if self.name == "sluice":
            self.lines.append(".SH SYNOPSIS")
            self.synopsis("sluice [OPTIONS] COMMAND [ARGS]...")
        previous = ""
        for block in blocks:
            lines = block.split("\n")
            while lines and lines[0].startswith("# "):
                heading = lines.pop(0)[2:]
                if self.name != "sluice":
                    if ".SH SYNOPSIS" not in self.lines:
                        self.lines.append(".SH SYNOPSIS")
                    self.synopsis(heading)
                    self.commands.append(heading)
            while lines and lines[0].startswith("## "):
                self.lines.append(".SH " + escaped(lines.pop(0)[3:].upper()))
                started, previous = True, "head"
            if not lines:
                continue
            if not started:
                self.lines.append(".SH DESCRIPTION")
                started, previous = True, "head"
            if lines[0].startswith("    "):
                self.code(lines, previous)
                previous = "code"
            else:
                self.text(lines, previous)
                previous = "text"

    def code(self, lines, previous):
        self.lines += ([] if previous == "head" else [".PP"]) + [".in +4n", ".nf"]
        for line in lines:
            line = escaped(line[4:], True)
            self.lines.append(("\\&" if line[:1] in ("", ".", "'") else "") + line)
        self.lines += [".fi", ".in"]

    def text(self, lines, previous):
        """A paragraph, a table or a list; they may follow each other without a blank line."""
        paragraph, mode = [], None

        def flush():
            nonlocal paragraph, previous
            if not paragraph:
                return
            if mode == "item":
                self.lines.append(".IP \\(bu 2")
            elif previous != "head":
                self.lines.append(".PP")
            self.add(self.inline(" ".join(part.strip() for part in paragraph)))
            paragraph, previous = [], "text"

        for line in lines:
            if line.startswith("|"):
                flush()
                self.row(line)
                mode = None
                continue
            if line.startswith("- "):
                flush()
                mode, line = "item", line[2:]
            elif mode is None:
                mode = "text"
            paragraph.append(line)
        flush()

    def row(self, line):
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip().strip("|"))]
        # The head of a table names its columns, of which the second has no name, and its rule follows.
        if not any(cells[1:]) or all(re.fullmatch(r":?-+:?", cell) for cell in cells):
            return
        self.lines += [".TP", self.inline(cells[0])]
        self.add(self.inline("; ".join(cells[1:])))


def names_of(headings):
    """The commands of headings like "sluice session suspend | resume [ID]", and their group."""
    names = []
    for heading in headings:
        found = COMMAND.match(heading)
        if not found:
            continue
        first, second, rest = found.groups()
        if not second:
            names.append("sluice-" + first)
            continue
        verbs = [second.strip()] + re.findall(r"[a-z-]+", rest)
        names += ["sluice-%s-%s" % (first, verb) for verb in verbs]
        names.append("sluice-" + first)
    return names


def main():
    version, source, into = sys.argv[1:4]
    files = sorted(glob.glob(os.path.join(glob.escape(source), "*.md")))
    with open(os.path.join(source, "README.md"), encoding="utf-8") as file:
        what = dict((target, text) for target, text in re.findall(r"^\| \[[^\]]*\]\(([^)]*)\) \| (.*) \|$", file.read(), re.MULTILINE))
    newest = max(int(os.path.getmtime(file)) for file in files)
    date = datetime.datetime.fromtimestamp(int(os.environ.get("SOURCE_DATE_EPOCH", newest)), datetime.timezone.utc).strftime("%Y-%m-%d")
    pages, aliases = {}, {}
    for file in files:
        base = os.path.basename(file)
        name = "sluice" if base == "README.md" else "sluice-" + base[:-3]
        if name != "sluice" and base not in what:
            sys.exit("man.py: %s has no row in README.md" % base)
        with open(file, encoding="utf-8") as opened:
            text = opened.read()
        page = Page(name, text, what.get(base, "build and manipulate BuildStream projects"), version, date)
        if name != "sluice":
            names = names_of(page.commands)
            if not names:
                sys.exit("man.py: no heading of %s names a command" % base)
            for alias in names:
                aliases.setdefault(alias, name)
        pages[name] = "\n".join(page.lines) + "\n"
    for command, file in (further.split("=", 1) for further in sys.argv[4:]):
        name = command.split()[0]
        with open(file, encoding="utf-8") as opened:
            text = opened.read()
        heading = re.match(r"# %s: (.*)" % re.escape(name), text)
        if not heading:
            sys.exit("man.py: %s doesn't begin with '# %s: '" % (file, name))
        pages[name] = "\n".join(Page(name, "# " + command + text[heading.end():], heading[1], version, date).lines) + "\n"
    os.makedirs(into, exist_ok=True)
    for old in glob.glob(os.path.join(glob.escape(into), "*.1")):
        os.remove(old)
    for name, text in pages.items():
        with open(os.path.join(into, name + ".1"), "w", encoding="utf-8") as file:
            file.write(text)
    groups = {alias for alias in aliases if any(other.startswith(alias + "-") for other in aliases)}
    for alias, name in aliases.items():
        if alias in pages:
            continue
        # A group of verbs with pages of their own is described where all are listed.
        to = "sluice" if alias in groups and sum(page.startswith(alias + "-") for page in pages) > 1 else name
        with open(os.path.join(into, alias + ".1"), "w", encoding="utf-8") as file:
            file.write(".so man1/%s.1\n" % to)


main()

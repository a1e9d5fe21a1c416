"""A strict reader of the Trace Event format, as its documentation has it ("Trace Event Format": JSON Object Format, complete, instant,
counter, flow and metadata events), and as Perfetto's importer needs it: what is wrong there isn't drawn, or at another place."""

METADATA = {"process_name": ("name", str), "thread_name": ("name", str), "process_labels": ("labels", str),
            "process_sort_index": ("sort_index", int), "thread_sort_index": ("sort_index", int)}
COMMON = {"ph", "name", "pid", "tid", "args"}
FIELDS = {"X": COMMON | {"cat", "ts", "dur", "cname"}, "i": COMMON | {"cat", "ts", "s"}, "C": COMMON | {"ts", "id"},
          "s": COMMON | {"cat", "ts", "id"}, "f": COMMON | {"cat", "ts", "id", "bp"}, "M": COMMON}
NEEDED = {"X": {"name", "cat", "pid", "tid", "ts", "dur"}, "i": {"name", "pid", "tid", "ts", "s"}, "C": {"name", "pid", "ts", "args"},
          "s": {"name", "cat", "id", "pid", "tid", "ts"}, "f": {"name", "cat", "id", "pid", "tid", "ts", "bp"},
          "M": {"name", "pid", "args"}}


class Wrong(Exception):
    pass


def need(condition, what, event):
    if not condition:
        raise Wrong("%s: %r" % (what, event))


def number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def nanoseconds(micros):
    return round(micros * 1000)


class Slice:
    def __init__(self, event):
        self.event = event
        self.name = event["name"]
        self.category = event["cat"]
        self.args = event.get("args", {})
        self.begin = nanoseconds(event["ts"])
        self.end = self.begin + nanoseconds(event["dur"])
        self.parent = None

    def has(self, at):
        return self.begin <= at < self.end


class Trace:
    """threads: {(pid, tid): [Slice]}, flows: [(Slice, Slice, name)], counters: {name: [(ts, args)]}, names: {pid: name},
    thread_names: {(pid, tid): name}, instants."""

    def __init__(self, document):
        need(isinstance(document, dict), "no object", document)
        need(set(document) <= {"traceEvents", "displayTimeUnit", "otherData", "systemTraceEvents", "stackFrames", "samples"}, "unknown keys",
             sorted(document))
        need(document.get("displayTimeUnit", "ms") in ("ms", "ns"), "displayTimeUnit", document["displayTimeUnit"])
        self.other = document.get("otherData", {})
        self.threads, self.counters, self.names, self.thread_names, self.instants = {}, {}, {}, {}, []
        starts, ends = {}, {}
        for event in document["traceEvents"]:
            self._take(event, starts, ends)
        for slices in self.threads.values():
            self._nest(slices)
        self.flows = [self._flow(starts.pop(name, None), end) for name, end in sorted(ends.items())]
        need(not starts, "flows without an end", starts)
        for place in self.threads:
            need(place[0] in self.names, "a process without a name", place)
            need(place in self.thread_names, "a thread without a name", place)

    def _take(self, event, starts, ends):
        phase = event.get("ph")
        need(phase in FIELDS, "unknown phase", event)
        need(set(event) <= FIELDS[phase], "unknown fields", event)
        need(NEEDED[phase] <= set(event), "fields are missing", event)
        need(isinstance(event["name"], str) and event["name"], "no name", event)
        for key in ("pid", "tid"):
            need(isinstance(event.get(key, 0), int) and event.get(key, 0) >= 0, "no number", event)
        for key in ("ts", "dur"):
            need(number(event.get(key, 0)) and event.get(key, 0) >= 0, "no time", event)
        need(isinstance(event.get("args", {}), dict), "args", event)
        place = (event["pid"], event.get("tid", 0))
        if phase == "X":
            need(event["dur"] > 0, "no duration", event)
            self.threads.setdefault(place, []).append(Slice(event))
        elif phase == "C":
            need(event["args"] and all(number(value) and value >= 0 for value in event["args"].values()), "no numbers", event)
            self.counters.setdefault(event["name"], []).append((event["ts"], event["args"]))
        elif phase == "i":
            need(event["s"] in ("g", "p", "t"), "scope", event)
            self.instants.append(event)
        elif phase == "M":
            need(event["name"] in METADATA, "unknown metadata", event)
            key, kind = METADATA[event["name"]]
            need(set(event["args"]) == {key} and isinstance(event["args"][key], kind), "metadata", event)
            if event["name"] == "process_name":
                self.names[event["pid"]] = event["args"]["name"]
            elif event["name"] == "thread_name":
                self.thread_names[place] = event["args"]["name"]
        else:
            name = (event["cat"], event["id"], event["name"])
            of = starts if phase == "s" else ends
            need(name not in of, "a flow's id is used twice", event)
            need(phase == "s" or event["bp"] == "e", "binding point", event)
            of[name] = event

    @staticmethod
    def _nest(slices):
        """On one thread slices lie in each other, or apart."""
        slices.sort(key=lambda one: (one.begin, -one.end))
        around = []
        for one in slices:
            while around and around[-1].end <= one.begin:
                around.pop()
            need(not around or one.end <= around[-1].end, "slices overlap", (one.event, around and around[-1].event))
            one.parent = around[-1] if around else None
            around.append(one)

    def _flow(self, start, end):
        need(start is not None, "a flow without a start", end)
        need(start["ts"] <= end["ts"], "a flow into the past", (start, end))
        found = []
        for event in (start, end):
            at = nanoseconds(event["ts"])
            there = [one for one in self.threads.get((event["pid"], event["tid"]), []) if one.has(at)]
            need(there, "a flow that begins or ends at no slice", event)
            found.append(there[0])  # the outermost
        return found[0], found[1], end["name"]

    def slices(self, category):
        return [one for slices in self.threads.values() for one in slices if one.category == category]

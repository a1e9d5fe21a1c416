"""A strict reader of OTLP's requests in JSON: the fields of ExportTraceServiceRequest and their types as opentelemetry-proto 1.x has
them (collector/trace/v1, trace/v1, common/v1, resource/v1), in the JSON mapping of OTLP: names in lowerCamelCase, ids in hexadecimal,
numbers of 64 bits as strings, enumerations as numbers."""

import re


class Wrong(Exception):
    pass


def text(value):
    return isinstance(value, str)


def whole(value):
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 32


def long_number(value):
    return isinstance(value, str) and re.fullmatch(r"-?[0-9]{1,20}", value) is not None


def time(value):
    return long_number(value) and 0 < int(value) < 1 << 63


def hexadecimal(digits):
    return lambda value: isinstance(value, str) and re.fullmatch("[0-9a-f]{%d}" % digits, value) is not None and int(value, 16) != 0


def real(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def one_of(*values):
    return lambda value: value in values and not isinstance(value, bool)


# A list is of what it has in it, a text names a message.
MESSAGES = {
    "request": {"resourceSpans": ["ResourceSpans"]},
    "ResourceSpans": {"resource": "Resource", "scopeSpans": ["ScopeSpans"], "schemaUrl": text},
    "Resource": {"attributes": ["KeyValue"], "droppedAttributesCount": whole},
    "ScopeSpans": {"scope": "Scope", "spans": ["Span"], "schemaUrl": text},
    "Scope": {"name": text, "version": text, "attributes": ["KeyValue"], "droppedAttributesCount": whole},
    "Span": {"traceId": hexadecimal(32), "spanId": hexadecimal(16), "traceState": text, "parentSpanId": hexadecimal(16), "flags": whole,
             "name": text, "kind": one_of(1, 2, 3, 4, 5), "startTimeUnixNano": time, "endTimeUnixNano": time, "attributes": ["KeyValue"],
             "droppedAttributesCount": whole, "events": ["Event"], "droppedEventsCount": whole, "links": ["Link"],
             "droppedLinksCount": whole, "status": "Status"},
    "Event": {"timeUnixNano": time, "name": text, "attributes": ["KeyValue"], "droppedAttributesCount": whole},
    "Link": {"traceId": hexadecimal(32), "spanId": hexadecimal(16), "traceState": text, "attributes": ["KeyValue"],
             "droppedAttributesCount": whole, "flags": whole},
    "Status": {"message": text, "code": one_of(0, 1, 2)},
    "KeyValue": {"key": text, "value": "AnyValue"},
    "AnyValue": {"stringValue": text, "boolValue": lambda value: isinstance(value, bool), "intValue": long_number, "doubleValue": real,
                 "arrayValue": "ArrayValue"},
    "ArrayValue": {"values": ["AnyValue"]},
}
NEEDED = {"request": {"resourceSpans"}, "Span": {"traceId", "spanId", "name", "kind", "startTimeUnixNano", "endTimeUnixNano"},
          "KeyValue": {"key", "value"}, "Event": {"timeUnixNano", "name"}, "Link": {"traceId", "spanId"}}


def check(value, name, where):
    if isinstance(name, list):
        if not isinstance(value, list):
            raise Wrong("%s is no list: %r" % (where, value))
        for i, one in enumerate(value):
            check(one, name[0], "%s[%d]" % (where, i))
        return
    if callable(name):
        if not name(value):
            raise Wrong("%s: %r" % (where, value))
        return
    fields = MESSAGES[name]
    if not isinstance(value, dict) or not set(value) <= set(fields):
        raise Wrong("%s is no %s: %r" % (where, name, value))
    if not NEEDED.get(name, set()) <= set(value):
        raise Wrong("%s lacks fields: %r" % (where, value))
    if name == "AnyValue" and len(value) != 1:
        raise Wrong("%s has not one value: %r" % (where, value))
    for key, of in value.items():
        check(of, fields[key], where + "." + key)


def plain(value):
    (kind, content), = value.items()
    if kind == "intValue":
        return int(content)
    return [plain(one) for one in content["values"]] if kind == "arrayValue" else content


class Span:
    def __init__(self, span):
        self.raw = span
        self.id, self.trace, self.parent = span["spanId"], span["traceId"], span.get("parentSpanId")
        self.name, self.kind = span["name"], span["kind"]
        self.begin, self.end = int(span["startTimeUnixNano"]), int(span["endTimeUnixNano"])
        self.attributes = {}
        for attribute in span.get("attributes", []):
            if attribute["key"] in self.attributes:
                raise Wrong("an attribute twice: %r" % span)
            self.attributes[attribute["key"]] = plain(attribute["value"])
        self.failed = span.get("status", {}).get("code") == 2
        self.links = [link["spanId"] for link in span.get("links", [])]
        self.events = [event["name"] for event in span.get("events", [])]
        if self.begin > self.end:
            raise Wrong("it ends before it begins: %r" % span)


def spans(request):
    """The spans of a request, which is checked."""
    check(request, "request", "request")
    return [Span(span) for resource in request["resourceSpans"] for scope in resource["scopeSpans"] for span in scope["spans"]]

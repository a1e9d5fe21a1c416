"""The JSON of keys (H6), which BuildStream makes with ujson: to the last byte, and with the same refusals."""

from _json import encode_basestring_ascii, make_encoder


def _default(value):
    if hasattr(value, "__json__"):
        raise _Slow()
    raise TypeError("{!r} is not JSON serializable".format(value))


class _Slow(Exception):
    """What Python's own encoder can't write as BuildStream's does."""


def key_json(value):
    """The JSON of what get_unique_key() has returned."""
    if type(value) is str:
        return _text(value)
    try:
        # Circles are found by it; the encoder remembers where it is.
        text = "".join(make_encoder({}, _default, encode_basestring_ascii, None, ":", ",", True, False, True)(value, 0))
    except (_Slow, TypeError):
        text = None
    if text is None or "\\u007f" in text or "e-0" in text:
        # Rare things: DEL, which the two write differently; numbers like 1e-7; keys that are neither texts nor numbers.
        parts = []
        _write(value, parts.append)
        text = "".join(parts)
    return text


def _text(value):
    if "\x7f" not in value:
        return encode_basestring_ascii(value)
    return '"{}"'.format("\x7f".join([encode_basestring_ascii(part)[1:-1] for part in value.split("\x7f")]))


def _atom(value):
    """The JSON of what is no list and no map; None if it is one of them or something else."""
    if value is None:
        return "null"
    if value is True or value is False:
        return "true" if value else "false"
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, int):
        return int.__repr__(value)
    if isinstance(value, float):
        if value != value:
            return "NaN"
        if value in (float("inf"), float("-inf")):
            return "Infinity" if value > 0 else "-Infinity"
        return float.__repr__(value).replace("e-0", "e-")
    return None


def _write(value, add):
    atom = _atom(value)
    if atom is not None:
        add(atom)
    elif isinstance(value, dict):
        between = "{"
        for key in sorted(value):
            add(between)
            add(_text(key) if isinstance(key, str) else '"{}"'.format(_atom(key) or _text(str(key))[1:-1]))
            add(":")
            _write(value[key], add)
            between = ","
        add("}" if value else "{}")
    elif isinstance(value, (list, tuple)):
        between = "["
        for item in value:
            add(between)
            _write(item, add)
            between = ","
        add("]" if value else "[]")
    elif hasattr(value, "__json__"):
        add(value.__json__())
    else:
        _default(value)

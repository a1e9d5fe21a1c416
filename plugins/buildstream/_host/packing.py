"""MessagePack, as far as frames have it: nil, booleans, integers, texts, lists, maps with texts for keys, and from the asker bytes,
which are a packed value.

The decoder refuses everything else, and so does the encoder: a plugin's value that has no such form is an error that names
its type.
"""


class Held:
    """A value that is unpacked when it is wanted: much of what is said of elements is never asked for."""

    __slots__ = ("_data",)

    def __init__(self, data):
        self._data = data

    def value(self):
        return unpack(self._data)


class PackingError(ValueError):
    """Bytes that are no such value, or a value that has no such bytes."""


def _unpacker():
    integer = int.from_bytes
    # Keys and other short texts come again and again.
    known = {}

    def text(data, begin, end):
        piece = data[begin:end]
        if len(piece) != end - begin:
            raise PackingError("a text is cut off")
        if end - begin > 24:
            return str(piece, "utf-8", "surrogateescape")
        found = known.get(piece)
        if found is None:
            found = str(piece, "utf-8", "surrogateescape")
            if len(known) < 4096:
                known[piece] = found
        return found

    def value(data, at):
        first = data[at]
        if first < 0x80:
            return first, at + 1
        if first < 0x90:
            return mapping(data, at + 1, first & 0x0F)
        if first < 0xA0:
            return sequence(data, at + 1, first & 0x0F)
        if first < 0xC0:
            end = at + 1 + (first & 0x1F)
            return text(data, at + 1, end), end
        if first >= 0xE0:
            return first - 0x100, at + 1
        if first == 0xC0:
            return None, at + 1
        if first == 0xC2 or first == 0xC3:
            return first == 0xC3, at + 1
        if 0xC4 <= first <= 0xC6:
            begin = at + 1 + (1 << (first - 0xC4))
            if begin > len(data):
                raise PackingError("a length is cut off")
            end = begin + integer(data[at + 1 : begin], "big")
            if end > len(data):
                raise PackingError("bytes are cut off")
            return Held(data[begin:end]), end
        if 0xCC <= first <= 0xD3:
            end = at + 1 + (1 << ((first - 0xCC) & 3))
            if end > len(data):
                raise PackingError("an integer is cut off")
            return integer(data[at + 1 : end], "big", signed=first >= 0xD0), end
        if 0xD9 <= first <= 0xDF:
            width = (1, 2, 4, 2, 4, 2, 4)[first - 0xD9]
            begin = at + 1 + width
            if begin > len(data):
                raise PackingError("a length is cut off")
            count = integer(data[at + 1 : begin], "big")
            if first < 0xDC:
                return text(data, begin, begin + count), begin + count
            if count > len(data):
                raise PackingError("a list or map is longer than the frame")
            return (sequence if first < 0xDE else mapping)(data, begin, count)
        raise PackingError("the byte 0x{:02x} begins nothing that frames have".format(first))

    def sequence(data, at, count):
        result = []
        append = result.append
        for _ in range(count):
            first = data[at]
            if first < 0x80:
                append(first)
                at += 1
            else:
                item, at = value(data, at)
                append(item)
        return result, at

    def mapping(data, at, count):
        result = {}
        for _ in range(count):
            first = data[at]
            if 0xA0 <= first < 0xC0:
                end = at + 1 + (first & 0x1F)
                key = text(data, at + 1, end)
            else:
                key, end = value(data, at)
                if type(key) is not str:
                    raise PackingError("a key is no text")
            result[key], at = value(data, end)
        return result, at

    return value


_value = _unpacker()


def unpack(data):
    """The one value in some bytes."""
    try:
        result, end = _value(data, 0)
    except IndexError:
        raise PackingError("the frame is cut off") from None
    except RecursionError:
        raise PackingError("the frame is nested too deeply") from None
    if end != len(data):
        raise PackingError("{} bytes follow the value".format(len(data) - end))
    return result


def pack(value):
    """The bytes of a value."""
    out = bytearray()
    try:
        _pack(value, out)
    except RecursionError:
        raise PackingError("the value is nested too deeply") from None
    return bytes(out)


def _head(out, count, small, limit, first):
    if count < limit:
        out.append(small | count)
    elif first == 0xD9 and count < 0x100:
        out += bytes((first, count))
    elif count < 0x10000:
        out.append(first + 1 if first == 0xD9 else first)
        out += count.to_bytes(2, "big")
    else:
        out.append(first + 2 if first == 0xD9 else first + 1)
        out += count.to_bytes(4, "big")


def _pack_text(value, out):
    try:
        data = value.encode()
    except UnicodeEncodeError:
        try:
            data = value.encode("utf-8", "surrogateescape")
        except UnicodeEncodeError:
            raise PackingError("a text has half of a character in it: {}".format(ascii(value))) from None
    count = len(data)
    if count < 32:
        out.append(0xA0 | count)
    else:
        _head(out, count, 0xA0, 32, 0xD9)
    out += data


def _pack(value, out):
    kind = type(value)
    if kind is str:
        _pack_text(value, out)
    elif value is None:
        out.append(0xC0)
    elif kind is int:
        if 0 <= value < 0x80:
            out.append(value)
        elif -0x20 <= value < 0:
            out.append(value & 0xFF)
        elif 0 <= value < 1 << 64:
            width = 0 if value < 1 << 8 else 1 if value < 1 << 16 else 2 if value < 1 << 32 else 3
            out.append(0xCC + width)
            out += value.to_bytes(1 << width, "big")
        elif -(1 << 63) <= value < 0:
            width = 0 if value >= -(1 << 7) else 1 if value >= -(1 << 15) else 2 if value >= -(1 << 31) else 3
            out.append(0xD0 + width)
            out += value.to_bytes(1 << width, "big", signed=True)
        else:
            raise PackingError("an integer has more than 64 bits: {}".format(value))
    elif kind is bool:
        out.append(0xC3 if value else 0xC2)
    elif isinstance(value, dict):
        _head(out, len(value), 0x80, 16, 0xDE)
        for key, item in value.items():
            if not isinstance(key, str):
                raise PackingError("a key is no text: {!r}".format(key))
            _pack_text(key, out)
            _pack(item, out)
    elif isinstance(value, (list, tuple)):
        _head(out, len(value), 0x90, 16, 0xDC)
        for item in value:
            _pack(item, out)
    elif isinstance(value, str):
        _pack_text(str(value), out)
    elif isinstance(value, int):
        _pack(int(value), out)
    else:
        raise PackingError("a value of type {} has no form outside of Python: {!r}".format(kind.__name__, value))

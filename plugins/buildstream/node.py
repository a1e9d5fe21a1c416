"""Trees of YAML that know where they come from, as plugins read and change them.

A node has a file (None for what was made by a program), a line that counts from 1 and a column that counts from 0. As in
BuildStream, nodes that plugins make have columns below zero, each another.
"""

from ._exceptions import LoadError

_MISSING = object()
_made = 0


def _next_made():
    global _made
    _made -= 1
    return _made


class _File:
    """A text that nodes refer to: its name as users see it, and the trees of it that are here, with the steps to them."""

    __slots__ = ("name", "roots")

    def __init__(self, name):
        self.name = name
        self.roots = []

    def _find(self, target):
        """Keys and indices that lead to a node with the target's place; None without one."""
        for above, root in self.roots:
            path = list(above)
            if root._walk_find(target, path):
                return path
        return None


def _key_of(node):
    """The last step of the path to a node: what messages call it by."""
    file = node.file
    path = file._find(node) if file is not None else None
    return path[-1] if path else "?"


class ProvenanceInformation:
    """Where a node comes from; as text it is how messages show it."""

    __slots__ = ("_node", "_filename", "_shortname", "_displayname", "_line", "_col", "_toplevel", "_project", "_is_synthetic")

    def __init__(self, node):
        self._node = node
        self._project = None
        file = node.file if node is not None else None
        if file is None:
            self._filename = self._shortname = self._displayname = ""
            self._line = 1
            self._col = 0
            self._toplevel = None
        else:
            self._filename = self._shortname = self._displayname = file.name
            self._line = node.line
            self._col = node.column
            self._toplevel = file
        self._is_synthetic = not self._filename or self._col < 0

    def __str__(self):
        if self._is_synthetic:
            return "{} [synthetic node]".format(self._displayname)
        return "{} [line {:d} column {:d}]".format(self._displayname, self._line, self._col)


def _invalid(node, message, reason="INVALID_DATA"):
    """The error about a node; its message begins with the node's place."""
    provenance = ProvenanceInformation(node)
    place = None if provenance._is_synthetic else [provenance._displayname, provenance._line, provenance._col]
    return LoadError("{}: {}".format(provenance, message), reason, place=place)


class Node:
    """What all nodes have in common."""

    __slots__ = ("file", "line", "column", "value")

    def __init__(self, *_):
        raise NotImplementedError("Please do not construct nodes like this. Use Node.from_dict(dict) instead.")

    @classmethod
    def _new(cls, file, line, column, value):
        node = object.__new__(cls)
        node.file = file
        node.line = line
        node.column = column
        node.value = value
        return node

    def __json__(self):
        raise ValueError("Nodes should not be allowed when jsonify-ing data", self)

    def __str__(self):
        return "{}: {}".format(self.get_provenance(), self.strip_node_info())

    def __reduce__(self):
        return _restore, (type(self), self.file.name if self.file else None, self.line, self.column, self.value)

    @classmethod
    def from_dict(cls, value):
        """A mapping node made from a dict of texts, numbers, booleans, None, lists and dicts."""
        if not isinstance(value, dict):
            raise TypeError("Argument 'value' has incorrect type (expected dict, got {})".format(type(value).__name__))
        node = MappingNode._new(None, 0, _next_made(), {})
        for key, item in value.items():
            node.value[key] = _make(item, node)
        return node

    def get_provenance(self):
        """Where the node comes from."""
        return ProvenanceInformation(self)

    def clone(self):
        """A copy of the node and of all below it."""
        raise NotImplementedError()

    def strip_node_info(self):
        """The plain data: texts, lists and dicts."""
        raise NotImplementedError()


def _restore(cls, name, line, column, value):
    return cls._new(None if name is None else _File(name), line, column, value)


class ScalarNode(Node):
    """A text, or None. Numbers and booleans are kept as their texts."""

    __slots__ = ()

    def as_str(self):
        """The text; None if there is none."""
        return self.value

    def as_bool(self):
        """The value as a boolean: True, true and 1, or False, false and 0."""
        if self.value in ("True", "true", "1"):
            return True
        if self.value in ("False", "false", "0"):
            return False
        raise _invalid(self, "Value of '{}' is not of the expected type 'boolean'".format(_key_of(self)))

    def as_int(self):
        """The value as an integer."""
        try:
            return int(self.value)
        except ValueError:
            raise _invalid(self, "Value of '{}' is not of the expected type 'int'".format(_key_of(self))) from None

    def as_enum(self, constraint):
        """The member of `constraint` whose value the text is."""
        try:
            return constraint(self.value)
        except ValueError:
            values = ", ".join(str(member.value) for member in constraint)
            raise _invalid(self, "Value of '{}' should be one of '{}'".format(_key_of(self), values)) from None

    def is_none(self):
        """Whether there is no value."""
        return self.value is None

    def clone(self):
        return ScalarNode._new(self.file, self.line, self.column, self.value)

    def strip_node_info(self):
        return self.value

    def _walk_find(self, target, path):
        return self.column == target.column and self.line == target.line and self.file is target.file


class MappingNode(Node):
    """Keys with nodes, in their order."""

    __slots__ = ()

    def __contains__(self, key):
        return key in self.value

    def __delitem__(self, key):
        del self.value[key]

    def __setitem__(self, key, value):
        if type(key) is not str:
            raise TypeError("Argument 'key' has incorrect type (expected str, got {})".format(type(key).__name__))
        if not isinstance(value, Node):
            value = _make(value, self)
            old = self.value.get(key)
            if old is not None:
                value.file, value.line, value.column = old.file, old.line, old.column
        self.value[key] = value

    def _get(self, key, default, kind):
        try:
            return self.value[key]
        except KeyError:
            pass
        if default is _MISSING:
            raise _invalid(self, "Dictionary did not contain expected key '{}'".format(key))
        if default is None:
            return None
        made = kind._new(None, 0, _next_made(), None)
        made.value = _scalar_text(default) if kind is ScalarNode else default
        if kind is not ScalarNode and default:
            made.value = _make(default, made).value
        return made

    def get_scalar(self, key, default=_MISSING):
        """The scalar at a key."""
        value = self._get(key, default, ScalarNode)
        if type(value) is ScalarNode:
            return value
        if value is None:
            return ScalarNode._new(self.file, 0, _next_made(), None)
        raise _invalid(value, "Value of '{}' is not of the expected type 'scalar'".format(key))

    def get_mapping(self, key, default=_MISSING):
        """The mapping at a key."""
        value = self._get(key, default, MappingNode)
        if value is not None and type(value) is not MappingNode:
            raise _invalid(value, "Value of '{}' is not of the expected type 'dict'".format(key))
        return value

    def get_sequence(self, key, default=_MISSING, allowed_types=None):
        """The sequence at a key, whose items must be of one of `allowed_types`, if there are any."""
        value = self._get(key, default, SequenceNode)
        if value is not None and type(value) is not SequenceNode:
            raise _invalid(value, "Value of '{}' is not of the expected type 'list'".format(key))
        if allowed_types:
            for item in value:
                _check_type(item, allowed_types)
        return value

    def get_node(self, key, allowed_types=None, allow_none=False):
        """The node at a key, which must be of one of `allowed_types`, if there are any."""
        value = self.value.get(key, _MISSING)
        if value is _MISSING:
            if allow_none:
                return None
            raise _invalid(self, "Dictionary did not contain expected key '{}'".format(key))
        _check_type(value, allowed_types, key)
        return value

    def get_str(self, key, default=_MISSING):
        """The text at a key."""
        return self.get_scalar(key, default).value

    def get_bool(self, key, default=_MISSING):
        """The boolean at a key."""
        return self.get_scalar(key, default).as_bool()

    def get_int(self, key, default=_MISSING):
        """The integer at a key; None if the default is that and is used."""
        scalar = self.get_scalar(key, default)
        return None if default is None and scalar.value is None else scalar.as_int()

    def get_enum(self, key, constraint, default=_MISSING):
        """The member of `constraint` whose value is at a key."""
        value = self.value.get(key, _MISSING)
        if value is _MISSING:
            if default is _MISSING:
                raise _invalid(self, "Dictionary did not contain expected key '{}'".format(key))
            return None if default is None else constraint(default)
        if type(value) is not ScalarNode:
            raise _invalid(value, "Value of '{}' is not of the expected type 'scalar'".format(key))
        return value.as_enum(constraint)

    def get_str_list(self, key, default=_MISSING):
        """The texts of the sequence at a key."""
        sequence = self.get_sequence(key, default)
        return None if sequence is None else sequence.as_str_list()

    def items(self):
        """Keys and nodes."""
        return self.value.items()

    def keys(self):
        """A list of the keys."""
        return list(self.value)

    def values(self):
        """The nodes."""
        return self.value.values()

    def safe_del(self, key):
        """Removes a key that may be there."""
        self.value.pop(key, None)

    def validate_keys(self, valid_keys):
        """Refuses the first key that isn't in the list."""
        for key in self.value:
            if key not in valid_keys:
                raise _invalid(self.value[key], "Unexpected key: {}".format(key))

    def clone(self):
        return MappingNode._new(self.file, self.line, self.column, {key: node.clone() for key, node in self.value.items()})

    def strip_node_info(self):
        return {key: node.strip_node_info() for key, node in self.value.items()}

    def _walk_find(self, target, path):
        if self.column == target.column and self.line == target.line and self.file is target.file:
            return True
        for key, node in self.value.items():
            path.append(key)
            if node._walk_find(target, path):
                return True
            path.pop()
        return False


class SequenceNode(Node):
    """A list of nodes."""

    __slots__ = ()

    def __iter__(self):
        return iter(self.value)

    def __len__(self):
        return len(self.value)

    def __reversed__(self):
        return reversed(self.value)

    def __setitem__(self, index, value):
        if not isinstance(value, Node):
            old = self.value[index]
            value = _make(value, self)
            value.file, value.line, value.column = old.file, old.line, old.column
        self.value[index] = value

    def append(self, value):
        """Adds a node, or plain data that becomes one."""
        self.value.append(value if isinstance(value, Node) else _make(value, self))

    def as_str_list(self):
        """The texts of the items."""
        for node in self.value:
            if type(node) is not ScalarNode:
                raise _invalid(node, "List item is not of the expected type 'scalar'")
        return [node.value for node in self.value]

    def _at(self, index, kind):
        value = self.value[index]
        if type(value) is not kind:
            steps = (self.file._find(self) if self.file is not None else None) or []
            path = ["[{}]".format(step) for step in steps] + ["[{}]".format(index)]
            raise _invalid(self, "Value of '{}' is not of the expected type '{}'".format(path, kind.__name__))
        return value

    def mapping_at(self, index):
        """The mapping at an index."""
        return self._at(index, MappingNode)

    def scalar_at(self, index):
        """The scalar at an index."""
        return self._at(index, ScalarNode)

    def sequence_at(self, index):
        """The sequence at an index."""
        return self._at(index, SequenceNode)

    def node_at(self, index, allowed_types=None):
        """The node at an index, which must be of one of `allowed_types`, if there are any."""
        value = self.value[index]
        _check_type(value, allowed_types, str(index))
        return value

    def clone(self):
        return SequenceNode._new(self.file, self.line, self.column, [node.clone() for node in self.value])

    def strip_node_info(self):
        return [node.strip_node_info() for node in self.value]

    def _walk_find(self, target, path):
        if self.column == target.column and self.line == target.line and self.file is target.file:
            return True
        for index, node in enumerate(self.value):
            path.append(index)
            if node._walk_find(target, path):
                return True
            path.pop()
        return False


def _scalar_text(value):
    kind = type(value)
    if kind is str:
        return value.strip()
    if kind is bool:
        return "True" if value else "False"
    if kind is int:
        return str(value)
    if value is None:
        return None
    raise ValueError("ScalarNode can only hold str, int, bool or None objects")


def _make(value, near):
    """A node of plain data, which has the place of the node that it gets into but for its column."""
    kind = type(value)
    if kind is list:
        return SequenceNode._new(near.file, near.line, _next_made(), [_make(item, near) for item in value])
    if kind is dict:
        return MappingNode._new(near.file, near.line, _next_made(), {key: _make(item, near) for key, item in value.items()})
    if kind in (int, str, bool, type(None)):
        return ScalarNode._new(near.file, near.line, _next_made(), _scalar_text(value))
    if isinstance(value, Node):
        return value
    raise TypeError("Unable to assign a value of type {} to a Node.".format(kind))


def _check_type(node, allowed, key=None):
    if allowed and type(node) not in allowed:
        names = [name for cls, name in ((MappingNode, "dict"), (SequenceNode, "list"), (ScalarNode, "scalar")) if cls in allowed]
        of = "of '{}' ".format(key) if key else ""
        raise _invalid(node, "Value {}is not one of the following: {}.".format(of, ", ".join(names)))


def _from_wire(packed, files):
    """The tree of `[file, line, column, value]`, whose `file` is an index into `files` or -1."""
    number, line, column, value = packed
    kind = type(value)
    if kind is str or value is None:
        cls = ScalarNode
    elif kind is dict:
        cls = MappingNode
        value = {key: _from_wire(item, files) for key, item in value.items()}
    elif kind is list:
        cls = SequenceNode
        value = [_from_wire(item, files) for item in value]
    else:
        cls = ScalarNode
        value = _scalar_text(value)
    node = object.__new__(cls)
    node.file = files[number] if number >= 0 else None
    node.line = line
    node.column = column if number >= 0 else _next_made()
    node.value = value
    return node


def _to_wire(node, numbers):
    """What _from_wire() reads; `numbers` maps files to their indices."""
    value = node.value
    if type(node) is MappingNode:
        value = {key: _to_wire(item, numbers) for key, item in value.items()}
    elif type(node) is SequenceNode:
        value = [_to_wire(item, numbers) for item in value]
    number = numbers.get(node.file, -1) if node.column >= 0 else -1
    return [number, node.line, node.column, value] if number >= 0 else [-1, 0, 0, value]

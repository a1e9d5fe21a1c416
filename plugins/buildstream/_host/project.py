"""What plugins see of their project and of the user's settings: what the asker has said of them."""

import os
import posix
import stat

from .._exceptions import _unsupported
from . import reads


class Project:
    """A project of a question."""

    def __init__(self, said):
        self.name = said.get("name")
        self.directory = said.get("directory")
        self.source_provenance_attributes = said.get("provenance_attributes")
        self.junction = None
        self._aliases = said.get("aliases") or {}
        self._mirrors = said.get("mirrors") or []
        self._mirror_plugins = {}
        self._closed = bool(said.get("closed"))
        self._fatal = said.get("fatal_warnings") or ()
        self._uris = {}
        self._real = None

    def __getattr__(self, name):
        raise _unsupported("Project.{}".format(name))

    def _warning_is_fatal(self, name):
        return self._fatal is True or name in self._fatal

    def get_alias_url(self, alias, *, first_pass=False):
        """What the project says that an alias stands for; None if there is no such alias."""
        said = self._aliases.get(alias)
        return None if said is None else said.get("own", said.get("url"))

    def translate_url(self, url, *, source, first_pass=False):
        """A URL with what its alias stands for."""
        alias, colon, body = url.partition(":") if url else ("", "", "")
        said = self._aliases.get(alias) if colon else None
        return url if said is None else said.get("url") + body

    def alias_exists(self, alias, *, source, first_pass=False):
        """Whether there is such an alias."""
        if alias in self._aliases:
            return True
        if self._closed and alias:
            from ..source import SourceError

            raise SourceError(
                "{}: Parent project did not provide a mapping for alias '{}' and disallowed usage of unmapped aliases".format(
                    source, alias
                ),
                reason="missing-alias-mapping",
            )
        return False

    def get_alias_uris(self, alias, *, first_pass=False, tracking=False):
        """What may stand for an alias, in the order to try; [None] for what is no alias."""
        if not alias or alias not in self._aliases:
            return [None]
        key = alias, tracking
        found = self._uris.get(key)
        if found is None:
            from ..source import AliasSubstitution

            found = []
            for uri in self._aliases[alias].get("track" if tracking else "fetch") or ():
                if type(uri) is str:
                    found.append(AliasSubstitution(alias, uri))
                else:
                    found.append(AliasSubstitution(uri.get("alias") or alias, self._mirror(uri["mirror"])))
            self._uris[key] = found
        return found

    def _mirror(self, number):
        plugin = self._mirror_plugins.get(number)
        if plugin is None:
            from . import questions

            plugin = self._mirror_plugins[number] = questions.mirror(self, self._mirrors[number])
        return plugin

    def _mirror_url(self, number, alias, body):
        """The URL at a mirror of what follows an alias in a source's URL, and what its plugin says of it."""
        said = self._aliases[alias]
        uris = [*(said.get("fetch") or ()), *(said.get("track") or ())]
        called = next(uri.get("alias") or alias for uri in uris if type(uri) is dict and uri["mirror"] == number)
        extra = {}
        url = self._mirror(number).translate_url(
            alias=called, alias_url=self.get_alias_url(alias), source_url=body, extra_data=extra
        )
        return url, extra

    def get_path_from_node(self, node, *, check_is_file=False, check_is_dir=False):
        """A node's text, which must be the path of something that is in the project."""
        from ..node import _invalid

        text = node.as_str()
        if self._real is None:
            watching = reads.pause()
            self._real = os.path.realpath(self.directory)
            reads.resume(watching)
        path = os.path.join(self._real, text)
        steps = [step for step in text.split("/") if step not in ("", ".")]
        reads.note("exists", path)

        watching = reads.pause()
        try:
            if os.path.islink(os.path.normpath(path) if ".." not in steps else path.rstrip("/")):
                raise _invalid(node, "Specified path '{}' must not point to symbolic links ".format(text), "PROJ_PATH_INVALID_KIND")
            if steps[:1] == [".."] and not text.startswith("/"):
                raise _invalid(node, "Specified path '{}' first component must not be '..'".format(text), "PROJ_PATH_INVALID")
            try:
                real = os.path.realpath(path, strict=True)
            except OSError:
                raise _invalid(node, "Specified path '{}' does not exist".format(text), "MISSING_FILE") from None
            if real != self._real and not real.startswith(self._real.rstrip("/") + "/"):
                raise _invalid(
                    node, "Specified path '{}' must not lead outside of the project directory".format(text), "PROJ_PATH_INVALID"
                )
            if text.startswith("/"):
                raise _invalid(
                    node,
                    "Absolute path: '{}' invalid.\nPlease specify a path relative to the project's root.".format(
                        os.path.normpath(text)
                    ),
                    "PROJ_PATH_INVALID",
                )
            mode = posix.stat(real).st_mode
            if stat.S_ISSOCK(mode) or stat.S_ISFIFO(mode) or stat.S_ISBLK(mode):
                raise _invalid(node, "Specified path '{}' points to an unsupported file kind".format(text), "PROJ_PATH_INVALID_KIND")
            if check_is_file and not stat.S_ISREG(mode):
                raise _invalid(node, "Specified path '{}' is not a regular file".format(text), "PROJ_PATH_INVALID_KIND")
            if check_is_dir and not stat.S_ISDIR(mode):
                raise _invalid(node, "Specified path '{}' is not a directory".format(text), "PROJ_PATH_INVALID_KIND")
        finally:
            reads.resume(watching)
        if real != path:
            reads.note("exists", real)
        return text


class Context:
    """What of BuildStream's context plugins reach: where sources keep what they fetch."""

    def __init__(self, element, mirror_directory):
        self.element = element
        self._mirror_directory = mirror_directory
        self.log_debug = False

    def __getattr__(self, name):
        raise _unsupported("Context.{}".format(name))

    def mirror_directory(self, kind):
        """The directory of a kind's mirrors, which is there afterwards."""
        directory = self._mirror_directory
        if directory not in _made:
            _make(directory)
            _made.add(directory)
        return directory


_made = set()


def _make(directory):
    try:
        posix.mkdir(directory)
    except FileNotFoundError:
        _make(os.path.dirname(directory))
        _make(directory)
    except FileExistsError:
        pass

"""A directory of a tree that the asker has: the root of a sandbox, mostly. What is looked at is asked for once, until
something changes it."""

import os
import stat

from .. import utils
from .._exceptions import _unsupported
from .._host import reads
from .._host.calls import call, new_name, path_of
from ..utils import BST_ARBITRARY_TIMESTAMP, FileListResult
from .directory import Directory, DirectoryError, FileStat, FileType

_MODES = ("r", "rb", "w", "wb", "w+", "w+b", "x", "xb", "x+", "x+b")
_MOST_LINKS = 40
# What is at each place of an entry of a listing.
_NAME, _TYPE, _SIZE, _EXECUTABLE, _HASH, _TARGET, _MTIME = range(7)
_DIRECTORY, _FILE, _LINK = 1, 2, 3


class Tree:
    """A tree of the asker's, and what is known of its directories. Paths begin with a slash, and have neither `.`, `..` nor
    links in them."""

    def __init__(self, number):
        self.number = number
        self._exact = {}  # path: the directory's entries by name, in order
        self._loose = {}  # the same, but that of some entries only name and type are right

    def listing(self, path):
        """The entries of a directory."""
        found = self._exact.get(path)
        if found is None:
            entries = call("directory", tree=self.number, path=path)["entries"]
            if entries is None:
                raise DirectoryError("Directory '{}' is not there any more".format(path), reason="directory-not-found")
            said = {entry[_NAME]: entry for entry in entries}
            # What has come since it was looked at stays behind what was there.
            order = [name for name in self._loose.pop(path, ()) if name in said]
            found = self._exact[path] = {name: said[name] for name in [*order, *said]}
        return found

    def known(self, path):
        """The same, for who looks at names and types alone."""
        found = self._loose.get(path)
        return self.listing(path) if found is None else found

    def change(self, call_name, path, /, **more):
        """Has the asker change something at a path."""
        return call(call_name, tree=self.number, path=path, **more)

    def note(self, above, name, kind):
        """In a directory something came, or went (None)."""
        known = self._exact.pop(above, None)
        if known is None:
            known = self._loose.get(above)
        else:
            self._loose[above] = known
        before = None if known is None else known.get(name)
        if known is not None:
            if kind is None:
                known.pop(name, None)
            else:
                known[name] = [name, kind, None, None, None, None, None]
        if known is None or before is not None and before[_TYPE] == _DIRECTORY:
            self.forget(_join(above, name))

    def forget(self, path="/"):
        """Nothing is known of a directory and those below."""
        for kept in (self._exact, self._loose):
            if path == "/":
                kept.clear()
            else:
                below = path + "/"
                for key in [key for key in kept if key == path or key.startswith(below)]:
                    del kept[key]


class _Digest:
    """The digest of a directory."""

    __slots__ = ("hash", "size_bytes")

    def __init__(self, digest_hash, size_bytes):
        self.hash = digest_hash
        self.size_bytes = size_bytes

    def __eq__(self, other):
        if not isinstance(other, _Digest):
            return NotImplemented
        return (self.hash, self.size_bytes) == (other.hash, other.size_bytes)

    def __hash__(self):
        return hash((self.hash, self.size_bytes))


def _join(path, name):
    return path + name if path == "/" else path + "/" + name


def _parent(path):
    return path.rpartition("/")[0] or "/"


class CasBasedDirectory(Directory):
    """A directory of a tree. It is known by its path: when something else comes to be there, it is that."""

    def __init__(self, tree, *, path="/", **_):
        if not isinstance(tree, Tree):
            raise _unsupported("CasBasedDirectory()")
        self._tree = tree
        self._path = path

    def __iter__(self):
        return iter(list(self._tree.listing(self._path)))

    def __len__(self):
        return len(self._tree.known(self._path))

    def __str__(self):
        return "[CAS:/{}]".format("" if self._path == "/" else self._path)

    def __eq__(self, other):
        if not isinstance(other, CasBasedDirectory):
            return NotImplemented
        return (self._tree.number, self._path) == (other._tree.number, other._path)

    def __hash__(self):
        return hash((self._tree.number, self._path))

    def open_directory(self, path, *, create=False, follow_symlinks=False):
        return self.__open(_steps(path), create=create, follow_symlinks=follow_symlinks)

    def import_single_file(self, external_pathspec):
        result = FileListResult()
        name = os.path.basename(external_pathspec)
        if self.__make_room(name, os.path.dirname(external_pathspec), result):
            exchanged = new_name()
            place = path_of(exchanged)
            watching = reads.pause()
            try:
                _copy_file(external_pathspec, place)
                self.__put(name, exchanged)
            except OSError as error:
                raise DirectoryError("Error importing '{}': {}".format(external_pathspec, error)) from error
            finally:
                _discard(place)
                reads.resume(watching)
            result.files_written.append(external_pathspec)
        return result

    def export_to_tar(self, tarfile, destination_dir, mtime=BST_ARBITRARY_TIMESTAMP):
        import tarfile as formats

        for name, entry in sorted(self._tree.listing(self._path).items()):
            inside = os.path.join(destination_dir, name)
            header = formats.TarInfo(inside)
            header.mtime = mtime
            if entry[_TYPE] == _DIRECTORY:
                header.type = formats.DIRTYPE
                header.mode = 0o755
                tarfile.addfile(header)
                self.__below(name).export_to_tar(tarfile, inside, mtime)
            elif entry[_TYPE] == _FILE:
                if entry[_EXECUTABLE]:
                    header.mode |= 0o111
                header.size = entry[_SIZE]
                with self.__reading(name, "rb", None) as file:
                    tarfile.addfile(header, file)
            else:
                header.type = formats.SYMTYPE
                header.mode = 0o777
                header.linkname = entry[_TARGET]
                tarfile.addfile(header)

    def list_relative_paths(self):
        yield from self.__relative_paths("")

    def exists(self, path, *, follow_symlinks=False):
        try:
            self.__entry(_steps(path), follow_symlinks)
            return True
        except DirectoryError:
            return False

    def stat(self, path, *, follow_symlinks=False):
        entry = self.__entry(_steps(path), follow_symlinks, exact=True)
        kind = FileType(entry[_TYPE])
        size = entry[_SIZE] if kind == FileType.REGULAR_FILE else len(entry[_TARGET]) if kind == FileType.SYMLINK else 0
        executable = kind == FileType.DIRECTORY or bool(entry[_EXECUTABLE])
        mtime = BST_ARBITRARY_TIMESTAMP if entry[_MTIME] is None else entry[_MTIME]
        return FileStat(kind, executable=executable, size=size, mtime=mtime)

    def _is(self, file_type, path, follow_symlinks):
        try:
            return self.__entry(_steps(path), follow_symlinks)[_TYPE] == file_type.value
        except DirectoryError:
            return False

    def open_file(self, path, *, mode="r"):
        return _Opening(lambda: self.__open_file(path, mode))

    def __open_file(self, path, mode):
        *above, name = _steps(path)
        directory = self.__open(above)
        entry = self._tree.known(directory._path).get(name)
        if entry is not None and entry[_TYPE] != _FILE:
            raise DirectoryError("{} in {} is not a file".format(name, directory))
        if mode not in _MODES:
            raise ValueError("Unsupported mode: `{}`".format(mode))
        encoding = None if "b" in mode else "utf-8"
        if "r" in mode:
            if entry is None:
                raise DirectoryError("{} not found in {}".format(name, directory))
            return directory.__reading(name, mode, encoding)
        if "x" in mode and entry is not None:
            raise DirectoryError("{} already exists in {}".format(name, directory))
        directory.__check_name(name)
        return _File(new_name(), mode, encoding, lambda exchanged: directory.__put(name, exchanged))

    def file_digest(self, path):
        entry = self.__entry(_steps(path), False, exact=True)
        if entry[_TYPE] != _FILE:
            raise DirectoryError("Unsupported file type for digest: {}".format(FileType(entry[_TYPE])))
        return entry[_HASH]

    def readlink(self, path):
        entry = self.__entry(_steps(path), False, exact=True)
        if entry[_TYPE] != _LINK:
            raise DirectoryError("Unsupported file type for readlink: {}".format(FileType(entry[_TYPE])))
        return entry[_TARGET]

    def remove(self, path, *, recursive=False):
        *above, name = _steps(path)
        directory = self.__open(above)
        entry = self._tree.known(directory._path).get(name)
        if entry is None:
            raise DirectoryError("{} not found in {}".format(name, directory))
        if entry[_TYPE] == _DIRECTORY and not recursive and directory.__below(name):
            raise DirectoryError("{} is not empty".format(directory.__below(name)))
        self._tree.change("remove", _join(directory._path, name))
        self._tree.note(directory._path, name, None)

    def rename(self, src, dest):
        *source_above, source_name = _steps(src)
        *target_above, target_name = _steps(dest)
        source = self.__open(source_above)
        entry = source.__entry([source_name], False)
        target = self.__open(target_above)
        target.__check_name(target_name)
        before, after = _join(source._path, source_name), _join(target._path, target_name)
        if before == after:
            return
        if (after + "/").startswith(before + "/"):
            raise DirectoryError("Can't rename {} to {}, which is below it".format(before, after))
        if before.startswith(after + "/"):
            # What is replaced goes with all that is in it.
            aside = ".{}.renamed.{}".format(target_name[:100], new_name())
            self._tree.change("rename", before, to=_join(target._path, aside))
            before = _join(target._path, aside)
        self._tree.change("rename", before, to=after)
        self._tree.note(source._path, source_name, None)
        self._tree.note(target._path, target_name, entry[_TYPE])

    def _import_files_internal(
        self, external_pathspec, *, filter_callback=None, update_mtime=None, properties=None, collect_result=True
    ):
        if properties:
            raise _unsupported("Directory._import_files_internal() with properties")
        if not isinstance(external_pathspec, CasBasedDirectory):
            path = external_pathspec
            if isinstance(path, Directory):
                path = path._get_underlying_directory()
            assert isinstance(path, str), "Neither a directory nor a path: {!r}".format(path)
            external_pathspec = CasBasedDirectory(Tree(_take(path)))
        chosen = None
        if filter_callback is not None:
            chosen = []
            self.__choose(external_pathspec, self, filter_callback, "", self, chosen)
        self._tree.forget(self._path)
        said = self._tree.change(
            "import", self._path, from_tree=external_pathspec._tree.number, from_path=external_pathspec._path, chosen=chosen
        )
        return _result(said) if collect_result else None

    _import_files = _import_files_internal

    def __choose(self, source, target, chooses, prefix, origin, chosen):
        for name, entry in list(source._tree.listing(source._path).items()):
            path = os.path.join(prefix, name)
            if entry[_TYPE] == _DIRECTORY:
                below = source.__below(name)
                if below == origin:
                    continue
                found = None if target is None else target._tree.known(target._path).get(name)
                if found is not None and found[_TYPE] != _DIRECTORY:
                    raise DirectoryError("Destination is a {}, not a directory: /{}".format(FileType(found[_TYPE]), path))
                self.__choose(below, None if found is None else target.__below(name), chooses, path, origin, chosen)
            if chooses(path):
                chosen.append(path)

    def _get_digest(self):
        said = call("digest", tree=self._tree.number, path=self._path)
        return _Digest(said["hash"], said["size"])

    def _get_underlying_directory(self):
        raise DirectoryError("A directory of a sandbox is no directory of this machine: {}".format(self))

    def _create_empty_file(self, path):
        with self.open_file(path, mode="w"):
            pass

    def _ensure_local(self):
        pass

    def _set_deterministic_user(self):
        pass

    def _forget(self):
        """Something else has changed this directory."""
        self._tree.forget(self._path)

    def __getattr__(self, name):
        if name.startswith("_") and not name.startswith("__"):
            raise _unsupported("Directory.{}()".format(name))
        raise AttributeError("'Directory' object has no attribute '{}'".format(name))

    def __below(self, name):
        return CasBasedDirectory(self._tree, path=_join(self._path, name))

    def __check_name(self, name):
        if name in ("", ".", "..") or "\0" in name:
            raise DirectoryError("Nothing in {} can be called {!r}".format(self, name))

    def __open(self, steps, *, create=False, follow_symlinks=False, links=0):
        directory = self
        tree = self._tree
        for step in steps:
            if not step:
                continue
            if step == ".":
                continue
            if step == "..":
                # Above the root is the root.
                directory = CasBasedDirectory(tree, path=_parent(directory._path))
                continue
            entry = tree.known(directory._path).get(step)
            if entry is None:
                if not create:
                    raise DirectoryError("'{}' not found in {}".format(step, directory), reason="directory-not-found")
                directory.__check_name(step)
                above, directory = directory, directory.__below(step)
                tree.change("make_directory", directory._path)
                tree.note(above._path, step, _DIRECTORY)
                tree._exact[directory._path] = {}
            elif entry[_TYPE] == _DIRECTORY:
                directory = directory.__below(step)
            elif follow_symlinks and entry[_TYPE] == _LINK:
                directory = directory.__follow(directory.__exact(step)[_TARGET], links)
            else:
                raise DirectoryError(
                    "Cannot open {}, which is a '{}' in the directory {}".format(step, FileType(entry[_TYPE]), directory),
                    reason="not-a-directory",
                )
        return directory

    def __follow(self, target, links):
        if links == _MOST_LINKS:
            raise DirectoryError("Cannot open {} in {}: too many symbolic links".format(target, self))
        start = CasBasedDirectory(self._tree) if target.startswith("/") else self
        return start.__open(target.split("/"), follow_symlinks=True, links=links + 1)

    def __exact(self, name):
        return self._tree.listing(self._path)[name]

    def __entry(self, steps, follow_symlinks, exact=False, links=0):
        directory = self.__open(steps[:-1], follow_symlinks=follow_symlinks, links=links)
        name = steps[-1]
        found = self._tree.known(directory._path).get(name)
        if found is None:
            raise DirectoryError("{} not found in {}".format(name, directory))
        if follow_symlinks and found[_TYPE] == _LINK:
            if links == _MOST_LINKS:
                raise DirectoryError("{} in {}: too many symbolic links".format(name, directory))
            target = directory.__exact(name)[_TARGET]
            start = CasBasedDirectory(self._tree) if target.startswith("/") else directory
            return start.__entry(target.split("/"), True, exact, links + 1)
        return directory.__exact(name) if exact else found

    def __relative_paths(self, prefix):
        entries = sorted(self._tree.listing(self._path).items())
        if prefix:
            yield prefix
        for name, entry in entries:
            if entry[_TYPE] != _DIRECTORY:
                yield os.path.join(prefix, name)
        for name, entry in entries:
            if entry[_TYPE] == _DIRECTORY:
                yield from self.__below(name).__relative_paths(os.path.join(prefix, name))

    def __make_room(self, name, reported, result):
        entry = self._tree.known(self._path).get(name)
        if entry is None:
            return True
        if entry[_TYPE] == _DIRECTORY and self.__below(name):
            result.ignored.append(reported)
            return False
        self.remove(name)
        result.overwritten.append(reported)
        return True

    def __reading(self, name, mode, encoding):
        exchanged = new_name()
        call("get", tree=self._tree.number, path=_join(self._path, name), name=exchanged)
        return _File(exchanged, mode, encoding, None)

    def __put(self, name, exchanged):
        self.__check_name(name)
        self._tree.change("put", _join(self._path, name), name=exchanged)
        self._tree.note(self._path, name, _FILE)


class _Opening:
    """A block with an open file; what is wrong with its path comes up at its begin."""

    def __init__(self, opens):
        self.opens = opens

    def __enter__(self):
        self.file = self.opens()
        return self.file.__enter__()

    def __exit__(self, kind, error, traceback):
        return self.file.__exit__(kind, error, traceback)


class _File:
    """A file in the directory that both have, for the length of a block. A new one is put into its tree at the end."""

    def __init__(self, exchanged, mode, encoding, put):
        self.exchanged = exchanged
        self.put = put
        watching = reads.pause()
        try:
            self.file = open(path_of(exchanged), mode, encoding=encoding)
        finally:
            reads.resume(watching)
        if put is not None:
            os.fchmod(self.file.fileno(), 0o644)

    def __enter__(self):
        return self.file

    def __exit__(self, kind, error, traceback):
        try:
            if kind is None and self.put is not None:
                if not self.file.closed:
                    self.file.flush()
                self.put(self.exchanged)
        finally:
            try:
                self.file.close()
            finally:
                _discard(path_of(self.exchanged))


def _steps(path):
    if path and path[0] == "/":
        raise ValueError("Invalid path '{}'".format(path))
    return path.split("/")


def _result(said):
    result = FileListResult()
    result.files_written = said["written"]
    result.overwritten = said["overwritten"]
    result.ignored = said["ignored"]
    return result


def _discard(path):
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass


def _copy_file(source, target):
    import shutil

    shutil.copyfile(source, target)
    os.chmod(target, 0o755 if os.access(source, os.X_OK) else 0o644)


def _take(path):
    """A tree with a copy of a directory of this machine."""
    exchanged = new_name()
    place = path_of(exchanged)
    try:
        _copy_directory(path, place)
        return call("take", name=exchanged)["tree"]
    except OSError as error:
        raise DirectoryError("Error importing '{}': {}".format(path, error)) from error
    finally:
        if os.path.isdir(place):
            utils._force_rmtree(place)


def _copy_directory(source, target):
    os.mkdir(target, 0o755)
    with os.scandir(source) as entries:
        for entry in entries:
            inside = os.path.join(target, entry.name)
            if entry.is_symlink():
                os.symlink(os.readlink(entry.path), inside)
            elif entry.is_dir(follow_symlinks=False):
                _copy_directory(entry.path, inside)
            elif stat.S_ISREG(entry.stat(follow_symlinks=False).st_mode):
                _copy_file(entry.path, inside)
            else:
                raise DirectoryError("{} is neither a file, a directory nor a symbolic link".format(entry.path))

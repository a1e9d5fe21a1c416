"""Helpers for plugins: files, checksums, host tools, versions."""

import errno
import os
import stat

from ._exceptions import BstError, _Name
from ._host import session

# The modification time of files that get none of their own: 2011-11-11 11:11:11 UTC.
BST_ARBITRARY_TIMESTAMP = 1321009871

_ALIAS_SEPARATOR = ":"
_URI_SCHEMES = ["http", "https", "ftp", "file", "git", "sftp", "ssh"]
_UMASK = os.umask(0o077)
os.umask(_UMASK)


class UtilError(BstError):
    """What helpers raise when the system refuses."""

    def __init__(self, message, reason=None):
        super().__init__(message, domain=_Name("UTIL"), reason=reason)


class ProgramNotFoundError(BstError):
    """A program that a plugin needs is not on this machine."""

    def __init__(self, message, reason=None):
        super().__init__(message, domain=_Name("PROG_NOT_FOUND"), reason=reason)


class DirectoryExistsError(OSError):
    """The destination of a move is a directory with something in it."""


class FileListResult:
    """What a copy of many files has done."""

    def __init__(self):
        self.overwritten = []
        """Files that were replaced."""

        self.ignored = []
        """Files that were left out, since a directory with something in it is in their place."""

        self.failed_attributes = []
        """Files whose attributes could not be kept."""

        self.files_written = []
        """Files that were written."""


def _set_file_mtime(fullpath, seconds):
    assert isinstance(fullpath, str), "Path to file must be a string: {}".format(fullpath)
    assert isinstance(seconds, (int, float)), "Mtime to set must be a float or integer: {}".format(seconds)
    nanoseconds = int(seconds * 10**9)
    try:
        os.utime(fullpath, ns=(nanoseconds, nanoseconds))
    except OSError:
        raise UtilError("Failed to set the times of the file at {} to {}".format(fullpath, seconds)) from None


def list_relative_paths(directory):
    """Paths of all that is below a directory, relative to it: each directory before what is in it, names in order.
    Symbolic links to directories count as files."""
    for place, directories, files in os.walk(directory):
        files.extend(name for name in directories if os.path.islink(os.path.join(place, name)))
        directories.sort()
        files.sort()
        base = os.path.relpath(place, directory)
        if base == ".":
            base = ""
        else:
            yield base
        for name in files:
            yield os.path.join(base, name)


def _glob2re(pattern):
    """The regular expression of a pattern, where `**` passes slashes and `*` and `?` don't."""
    import re

    result = ""
    at = 0
    while at < len(pattern):
        letter = pattern[at]
        at += 1
        if letter == "*":
            if pattern[at : at + 1] == "*":
                result += ".*"
                at += 1
            else:
                result += "[^/]*"
        elif letter == "?":
            result += "[^/]"
        elif letter == "[":
            first = at + 1 if pattern[at : at + 1] == "!" else at
            end = pattern.find("]", first + 1)
            if end < 0:
                result += "\\["
                continue
            inside = pattern[at:end].replace("\\", "\\\\")
            at = end + 1
            if inside.startswith("!"):
                inside = "^" + inside[1:]
            elif inside.startswith("^"):
                inside = "\\" + inside
            result += "[{}]".format(inside)
        else:
            result += re.escape(letter)
    return result + r"\Z"


def glob(paths, pattern):
    """Those of the paths that a pattern fits, as if the paths were below `/`."""
    import re

    expression = re.compile(_glob2re(pattern if pattern.startswith(os.sep) else os.sep + pattern), re.MULTILINE | re.DOTALL)
    for path in paths:
        if expression.match(path if path.startswith(os.sep) else os.sep + path):
            yield path


def sha256sum(filename):
    """The SHA-256 of a file, in hexadecimal digits."""
    import hashlib

    try:
        with open(filename, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise UtilError("Failed to get a checksum of file '{}': {}".format(filename, error)) from error


def _unlink_destination(dest):
    try:
        os.unlink(dest)
    except FileNotFoundError:
        pass
    except OSError as error:
        raise UtilError("Failed to remove destination file '{}': {}".format(dest, error)) from error


def safe_copy(src, dest, *, copystat=True, result=None):
    """Copies a file in the place of what is there, which other names of it don't notice."""
    import shutil

    _unlink_destination(dest)
    try:
        shutil.copyfile(src, dest)
    except (OSError, shutil.Error) as error:
        raise UtilError("Failed to copy '{} -> {}': {}".format(src, dest, error)) from error
    if copystat:
        try:
            shutil.copystat(src, dest)
        except PermissionError:
            # What can't be set, such as attributes of another file system, isn't worth a failure.
            if result is not None:
                result.failed_attributes.append(dest)


def safe_link(src, dest, *, result=None, _unlink=False):
    """Makes a file another name of the source, or a copy where there can be no such name."""
    if _unlink:
        _unlink_destination(dest)
    try:
        os.link(src, dest)
    except OSError as error:
        if error.errno == errno.EEXIST and not _unlink:
            safe_link(src, dest, result=result, _unlink=True)
        elif error.errno in (errno.EXDEV, errno.EPERM):
            safe_copy(src, dest)
        else:
            raise UtilError("Failed to link '{} -> {}': {}".format(src, dest, error)) from error


def safe_remove(path):
    """Removes a file or an empty directory; False if it is a directory with something in it."""
    try:
        if stat.S_ISDIR(os.lstat(path).st_mode):
            os.rmdir(path)
        else:
            os.unlink(path)
    except OSError as error:
        if error.errno == errno.ENOTEMPTY:
            return False
        if error.errno != errno.ENOENT:
            raise UtilError("Failed to remove '{}': {}".format(path, error)) from error
    return True


def copy_files(src, dest, *, filter_callback=None, ignore_missing=False, report_written=False):
    """Copies what is below one directory into another; the filter is asked with relative paths."""
    return _transfer("copy", safe_copy, src, dest, filter_callback, ignore_missing, report_written)


def link_files(src, dest, *, filter_callback=None, ignore_missing=False, report_written=False):
    """As copy_files(), but files get another name where that can be."""
    return _transfer("link", safe_link, src, dest, filter_callback, ignore_missing, report_written)


def _transfer(verb, action, src, dest, filter_callback, ignore_missing, report_written):
    result = FileListResult()
    try:
        _process_list(src, dest, action, result, filter_callback, ignore_missing, report_written)
    except OSError as error:
        raise UtilError("Failed to {} '{} -> {}': {}".format(verb, src, dest, error)) from error
    return result


def _ensure_real_directory(root, path):
    """Makes the directories of a relative path; a file or link in the way is an error."""
    place = root
    for name in path.split(os.sep):
        if not name:
            continue
        place = os.path.join(place, name)
        try:
            mode = os.lstat(place).st_mode
        except FileNotFoundError:
            os.mkdir(place)
            continue
        if not stat.S_ISDIR(mode):
            what = "symlink" if stat.S_ISLNK(mode) else "regular file" if stat.S_ISREG(mode) else "special file"
            raise UtilError("Destination is a {}, not a directory: {}".format(what, place[len(root) :]))


def _process_list(src, dest, action, result, filter_callback, ignore_missing, report_written):
    # Directories get their permissions at the end: until then something may have to be written into them.
    modes = {}
    paths = [path for path in list_relative_paths(src) if filter_callback is None or filter_callback(path)]
    if paths and not os.path.lexists(dest):
        os.makedirs(dest)
        modes[dest] = os.lstat(src).st_mode
    for path in paths:
        source = os.path.join(src, path)
        target = os.path.join(dest, path)
        parent = os.path.dirname(path)
        missing = []
        while parent and not os.path.lexists(os.path.join(dest, parent)):
            missing.append(parent)
            parent = os.path.dirname(parent)
        _ensure_real_directory(dest, os.path.dirname(path))
        for parent in missing:
            modes[os.path.join(dest, parent)] = os.stat(os.path.join(src, parent)).st_mode
        place = os.path.dirname(target)
        if not os.access(place, os.W_OK):
            os.chmod(place, 0o755)
            modes[place] = os.stat(os.path.dirname(source)).st_mode
        if report_written:
            result.files_written.append(path)
        if os.path.lexists(target) and not os.path.isdir(target):
            result.overwritten.append(path)
        try:
            mode = os.lstat(source).st_mode
        except FileNotFoundError as error:
            if ignore_missing:
                continue
            raise UtilError("Source file is missing: {}".format(source)) from error
        if stat.S_ISDIR(mode):
            _ensure_real_directory(dest, path)
            modes[target] = mode
        elif stat.S_ISLNK(mode) or stat.S_ISREG(mode):
            if not safe_remove(target):
                result.ignored.append(path)
            elif stat.S_ISLNK(mode):
                os.symlink(os.readlink(source), target)
            else:
                action(source, target, result=result)
        elif stat.S_ISFIFO(mode):
            os.mkfifo(target, stat.S_IMODE(mode))
        elif not stat.S_ISSOCK(mode):
            raise UtilError("Cannot extract {} into staging-area. Unsupported type.".format(source))
    for directory, mode in modes.items():
        os.chmod(directory, stat.S_IMODE(mode))


def get_host_tool(name):
    """The path of a program of this machine."""
    import shutil

    search = os.environ.get("PATH", "").split(os.pathsep)
    path = shutil.which(name, path=os.pathsep.join(search))
    if not path:
        raise ProgramNotFoundError("Did not find '{}' in PATH: {}".format(name, search))
    return path


def get_bst_version():
    """The major and the minor number of the BuildStream whose API this is."""
    from . import __version__

    return _parse_version(__version__)


_get_bst_api_version = get_bst_version


def _parse_version(version):
    try:
        numbers = version.split(".")
        return int(numbers[0]), int(numbers[1])
    except (IndexError, ValueError, AttributeError) as error:
        raise UtilError("Malformed version string: {}".format(version)) from error


def move_atomic(source, destination, *, ensure_parents=True):
    """Renames a file or directory; DirectoryExistsError if a directory with something in it is in the way."""
    if ensure_parents:
        os.makedirs(os.path.dirname(str(destination)), exist_ok=True)
    try:
        os.rename(str(source), str(destination))
    except OSError as error:
        if error.errno in (errno.EEXIST, errno.ENOTEMPTY):
            raise DirectoryExistsError(*error.args) from error
        raise


class save_file_atomic:
    """A file to write that gets its name when the block ends well, and is gone when it doesn't."""

    def __init__(
        self,
        filename,
        mode="w",
        *,
        buffering=-1,
        encoding=None,
        errors=None,
        newline=None,
        closefd=True,
        opener=None,
        tempdir=None,
    ):
        assert os.path.isabs(filename), "The path given to utils.save_file_atomic() must be absolute"
        self._filename = filename
        self._directory = os.path.dirname(filename) if tempdir is None else tempdir
        self._options = {
            "mode": mode,
            "buffering": buffering,
            "encoding": encoding,
            "errors": errors,
            "newline": newline,
            "closefd": closefd,
            "opener": opener,
        }

    def __enter__(self):
        import tempfile

        descriptor, self._temporary = tempfile.mkstemp(dir=self._directory)
        os.fchmod(descriptor, 0o666 & ~_UMASK)
        os.close(descriptor)
        self._file = open(self._temporary, **self._options)
        self._file.real_filename = self._filename
        return self._file

    def __exit__(self, kind, error, traceback):
        self._file.close()
        if kind is None:
            os.replace(self._temporary, self._filename)
        else:
            try:
                os.remove(self._temporary)
            except FileNotFoundError:
                pass


def get_umask():
    """The umask of this process."""
    return _UMASK


def guess_version(string, *, pattern=None):
    """The version that a text such as a URL seems to name: of all matches, the first with the most groups."""
    if pattern is None:
        import re

        pattern = re.compile(r"(\d+)\.(\d+)(?:\.(\d+))?")
    guess = None
    most = 0
    for match in pattern.finditer(string):
        parts = [part for part in match.groups() if part is not None] if pattern.groups else [match.group(0)]
        if guess is None or len(parts) > most:
            guess = ".".join(parts)
            most = len(parts)
    return guess


def url_directory_name(url):
    """A name for a directory made of a URL: what is no ASCII letter, digit or percent sign becomes an underscore."""
    return "".join([letter if letter == "%" or (letter.isascii() and letter.isalnum()) else "_" for letter in url])


def _deduplicate(iterable, key=None):
    seen = set()
    for item in iterable:
        mark = item if key is None else key(item)
        if mark not in seen:
            seen.add(mark)
            yield item


def _force_rmtree(rootpath):
    import shutil

    def allow(function, path, _):
        try:
            os.chmod(os.path.dirname(path), 0o755)
        except OSError as error:
            raise UtilError("Failed to ensure write permission on directory '{}': {}".format(path, error)) from error
        if function in (os.open, os.scandir) or (os.path.isdir(path) and not os.path.islink(path)):
            os.chmod(path, 0o755)
            shutil.rmtree(path, onerror=allow)
        else:
            os.remove(path)

    try:
        shutil.rmtree(rootpath, onerror=allow)
    except OSError as error:
        raise UtilError("Failed to remove cache directory '{}': {}".format(rootpath, error)) from error


class _tempdir:
    """A directory for the length of a block."""

    def __init__(self, *, suffix="", prefix="tmp", dir):
        self._names = {"suffix": suffix, "prefix": prefix, "dir": dir}

    def __enter__(self):
        import tempfile

        self._path = tempfile.mkdtemp(**self._names)
        os.chmod(self._path, 0o777 & ~_UMASK)
        return self._path

    def __exit__(self, kind, error, traceback):
        if os.path.isdir(self._path):
            _force_rmtree(self._path)


def _call(*arguments, terminate=False, **options):
    """Runs a program to its end: its status, and its output where that is piped."""
    import subprocess

    options.setdefault("umask", stat.S_IWGRP | stat.S_IWOTH)
    options["start_new_session"] = True
    with session.Program(), subprocess.Popen(*arguments, universal_newlines=True, **options) as process:
        try:
            output, _ = process.communicate()
        except BaseException:
            process.kill()
            raise
    return process.returncode, output


def __getattr__(name):
    from ._exceptions import _unsupported

    if name.startswith("_") and not name.startswith("__"):
        raise _unsupported("utils.{}".format(name))
    raise AttributeError("module 'buildstream.utils' has no attribute '{}'".format(name))

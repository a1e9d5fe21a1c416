"""What a directory is to a plugin: a tree that may lie anywhere, with paths relative to its root."""

from .._exceptions import BstError, _Name
from ..types import FastEnum
from ..utils import BST_ARBITRARY_TIMESTAMP


class DirectoryError(BstError):
    """What directories raise when they can't do something."""

    def __init__(self, message, reason=None):
        super().__init__(message, domain=_Name("VIRTUAL_FS"), reason=reason)


class FileType(FastEnum):
    """What a path is."""

    DIRECTORY = 1
    REGULAR_FILE = 2
    SYMLINK = 3

    def __str__(self):
        return self.name.lower().replace("_", " ")


class FileStat:
    """What is known of a path without a look into it."""

    def __init__(self, file_type, *, executable=False, size=0, mtime=BST_ARBITRARY_TIMESTAMP):
        self.file_type = file_type
        self.executable = executable
        self.size = size
        self.mtime = mtime

    def __eq__(self, other):
        if not isinstance(other, FileStat):
            return NotImplemented
        return (self.file_type, self.executable, self.size, self.mtime) == (
            other.file_type,
            other.executable,
            other.size,
            other.mtime,
        )


class Directory:
    """Base of directories; sources get one that lies in the file system."""

    def __init__(self, external_directory=None):
        raise NotImplementedError()

    def __iter__(self):
        raise NotImplementedError()

    def __len__(self):
        raise NotImplementedError()

    def open_directory(self, path, *, create=False, follow_symlinks=False):
        """A directory below this one."""
        raise NotImplementedError()

    def import_files(self, external_pathspec, *, filter_callback=None, collect_result=True):
        """Copies what is in another directory, or below a path, into this one."""
        return self._import_files_internal(external_pathspec, filter_callback=filter_callback, collect_result=collect_result)

    def import_single_file(self, external_pathspec):
        """Copies one file into this directory."""
        raise NotImplementedError()

    def export_to_tar(self, tarfile, destination_dir, mtime=BST_ARBITRARY_TIMESTAMP):
        """Adds all that is here to an archive."""
        raise NotImplementedError()

    def list_relative_paths(self):
        """Paths of all that is here."""
        raise NotImplementedError()

    def exists(self, path, *, follow_symlinks=False):
        """Whether there is something at a path."""
        raise NotImplementedError()

    def stat(self, path, *, follow_symlinks=False):
        """What is known of a path."""
        raise NotImplementedError()

    def open_file(self, path, *, mode="r"):
        """A file, for the length of a block."""
        raise NotImplementedError()

    def file_digest(self, path):
        """The SHA-256 of a file."""
        raise NotImplementedError()

    def readlink(self, path):
        """Where a symbolic link leads."""
        raise NotImplementedError()

    def remove(self, path, *, recursive=False):
        """Removes what is at a path."""
        raise NotImplementedError()

    def rename(self, src, dest):
        """Renames within this directory."""
        raise NotImplementedError()

    def _is(self, file_type, path, follow_symlinks):
        try:
            return self.stat(path, follow_symlinks=follow_symlinks).file_type == file_type
        except DirectoryError:
            return False

    def isfile(self, path, *, follow_symlinks=False):
        """Whether a path is a regular file."""
        return self._is(FileType.REGULAR_FILE, path, follow_symlinks)

    def isdir(self, path, *, follow_symlinks=False):
        """Whether a path is a directory."""
        return self._is(FileType.DIRECTORY, path, follow_symlinks)

    def islink(self, path, *, follow_symlinks=False):
        """Whether a path is a symbolic link."""
        return self._is(FileType.SYMLINK, path, follow_symlinks)

    def _import_files_internal(
        self, external_pathspec, *, filter_callback=None, update_mtime=None, properties=None, collect_result=True
    ):
        raise NotImplementedError()

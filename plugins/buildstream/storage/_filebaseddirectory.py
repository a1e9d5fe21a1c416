"""A directory that lies in the file system. No path leads out of it: links are only followed when asked for, and then as
if the directory were the root."""

import os
import stat

from .. import utils
from ..utils import BST_ARBITRARY_TIMESTAMP, FileListResult
from .directory import Directory, DirectoryError, FileStat, FileType

_MODES = ("r", "rb", "w", "wb", "w+", "w+b", "x", "xb", "x+", "x+b")
_MOST_LINKS = 40


class FileBasedDirectory(Directory):
    """What sources with BST_STAGE_VIRTUAL_DIRECTORY stage into."""

    def __init__(self, external_directory, *, parent=None):
        self.__path = external_directory
        self.__parent = parent

    def __iter__(self):
        return iter(os.listdir(self.__path))

    def __len__(self):
        return len(os.listdir(self.__path))

    def __str__(self):
        return self.__path

    def open_directory(self, path, *, create=False, follow_symlinks=False):
        return self.__walk(self.__steps(path), create=create, follow_symlinks=follow_symlinks)

    def import_single_file(self, external_pathspec):
        import shutil

        result = FileListResult()
        target = os.path.join(self.__path, os.path.basename(external_pathspec))
        if os.path.exists(target):
            result.ignored.append(target)
        else:
            shutil.copyfile(external_pathspec, target, follow_symlinks=False)
        return result

    def export_to_tar(self, tarfile, destination_dir, mtime=BST_ARBITRARY_TIMESTAMP):
        # Names in order, and nothing of the machine: the same tree is always the same archive.
        for name in sorted(os.listdir(self.__path)):
            path = os.path.join(self.__path, name)
            inside = os.path.join(destination_dir, name)
            entry = tarfile.gettarinfo(path, inside)
            entry.mtime = mtime
            entry.uid = entry.gid = 0
            entry.uname = entry.gname = ""
            if entry.isreg():
                with open(path, "rb") as file:
                    tarfile.addfile(entry, file)
            else:
                tarfile.addfile(entry)
            if entry.isdir():
                self.open_directory(name).export_to_tar(tarfile, inside, mtime)

    def list_relative_paths(self):
        return utils.list_relative_paths(self.__path)

    def exists(self, path, *, follow_symlinks=False):
        try:
            self.stat(path, follow_symlinks=follow_symlinks)
            return True
        except DirectoryError:
            return False

    def stat(self, path, *, follow_symlinks=False):
        directory, name = self.__parent_of(path, follow_symlinks)
        for _ in range(_MOST_LINKS):
            here = os.path.join(directory.__path, name)
            try:
                found = os.lstat(here)
            except OSError as error:
                raise DirectoryError("Error accessing path '{}': {}".format(here, error)) from error
            if not (follow_symlinks and stat.S_ISLNK(found.st_mode)):
                return _file_stat(found)
            target = os.readlink(here)
            if os.path.isabs(target):
                directory = directory.__root()
            *above, name = target.strip("/").split("/")
            directory = directory.__walk(above, follow_symlinks=True)
            if name in ("", ".", ".."):
                directory, name = directory.__walk([name], follow_symlinks=True), ""
        raise DirectoryError("Error accessing path '{}': too many symbolic links".format(path))

    def open_file(self, path, *, mode="r"):
        if mode not in _MODES:
            raise ValueError("Unsupported mode: `{}`".format(mode))
        directory, name = self.__parent_of(path)
        place = os.path.join(directory.__path, name)
        encoding = None if "b" in mode else "utf-8"
        if "r" in mode:
            return open(place, mode=mode, encoding=encoding)
        if "x" in mode:
            if directory.exists(name):
                raise DirectoryError("{} already exists in {}".format(name, directory))
            mode = mode.replace("x", "w")
        # What is written gets its name at the end: other names of a file that was there keep what they had.
        return utils.save_file_atomic(place, mode=mode, encoding=encoding)

    def file_digest(self, path):
        directory, name = self.__parent_of(path)
        if directory.exists(name) and not directory.isfile(name):
            raise DirectoryError("Unsupported file type for digest")
        return utils.sha256sum(os.path.join(directory.__path, name))

    def readlink(self, path):
        directory, name = self.__parent_of(path)
        if directory.exists(name) and not directory.islink(name):
            raise DirectoryError("Unsupported file type for readlink")
        return os.readlink(os.path.join(directory.__path, name))

    def remove(self, path, *, recursive=False):
        directory, name = self.__parent_of(path)
        place = os.path.join(directory.__path, name)
        try:
            if not directory.isdir(name):
                os.unlink(place)
            elif recursive:
                utils._force_rmtree(place)
            else:
                os.rmdir(place)
        except OSError as error:
            raise DirectoryError("Error removing '{}': {}".format(place, error)) from error

    def rename(self, src, dest):
        source, source_name = self.__parent_of(src)
        target, target_name = self.__parent_of(dest)
        if target.exists(target_name):
            target.remove(target_name)
        before = os.path.join(source.__path, source_name)
        after = os.path.join(target.__path, target_name)
        try:
            os.rename(before, after)
        except OSError as error:
            raise DirectoryError("Error renaming '{}' -> '{}': {}".format(before, after, error)) from error

    def _import_files_internal(
        self, external_pathspec, *, filter_callback=None, update_mtime=None, properties=None, collect_result=True
    ):
        source = external_pathspec.__path if isinstance(external_pathspec, FileBasedDirectory) else external_pathspec
        result = utils.copy_files(source, self.__path, filter_callback=filter_callback, report_written=True)
        if update_mtime:
            for path in result.files_written:
                os.utime(os.path.join(self.__path, path), times=(update_mtime, update_mtime), follow_symlinks=False)
        return result

    def _get_underlying_path(self, filename):
        return os.path.join(self.__path, filename)

    def _get_underlying_directory(self):
        return self.__path

    def _create_empty_file(self, path):
        with self.open_file(path, mode="w"):
            pass

    def __steps(self, path):
        if path.startswith("/"):
            raise ValueError("Invalid path '{}'".format(path))
        return path.split("/")

    def __parent_of(self, path, follow_symlinks=False):
        *above, name = self.__steps(path)
        return self.__walk(above, follow_symlinks=follow_symlinks), name

    def __root(self):
        directory = self
        while directory.__parent is not None:
            directory = directory.__parent
        return directory

    def __walk(self, steps, *, create=False, follow_symlinks=False, links=0):
        directory = self
        for step in steps:
            if step in ("", "."):
                continue
            if step == "..":
                # Above the root is the root.
                if directory.__parent is not None:
                    directory = directory.__parent
                continue
            place = os.path.join(directory.__path, step)
            try:
                mode = os.lstat(place).st_mode
            except FileNotFoundError:
                if not create:
                    raise DirectoryError("Cannot open '{}': '{}' does not exist".format(step, place)) from None
                os.mkdir(place)
                mode = stat.S_IFDIR
            if follow_symlinks and stat.S_ISLNK(mode):
                if links == _MOST_LINKS:
                    raise DirectoryError("Cannot open '{}': too many symbolic links".format(place))
                target = os.readlink(place)
                start = directory.__root() if os.path.isabs(target) else directory
                directory = start.__walk(target.split("/"), follow_symlinks=True, links=links + 1)
            elif stat.S_ISDIR(mode):
                directory = FileBasedDirectory(place, parent=directory)
            else:
                raise DirectoryError("Cannot open '{}': '{}' is not a directory".format(step, place), reason="not-a-directory")
        return directory


def _file_stat(found):
    kind = 0
    for test, file_type in (
        (stat.S_ISREG, FileType.REGULAR_FILE),
        (stat.S_ISDIR, FileType.DIRECTORY),
        (stat.S_ISLNK, FileType.SYMLINK),
    ):
        if test(found.st_mode):
            kind = file_type
    return FileStat(kind, executable=bool(found.st_mode & 0o111), size=found.st_size, mtime=found.st_mtime)

"""Directories that plugins work in."""

from .directory import Directory, DirectoryError, FileStat, FileType

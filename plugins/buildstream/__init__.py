"""The plugin API of BuildStream 2.8, for plugins that Sluice runs. The names below are public; each comes with the first
use of it, so that a plugin pays for what it takes."""

__version__ = "2.8.1"

_WHERE = {
    "utils": "UtilError ProgramNotFoundError",
    "sandbox": "Sandbox SandboxCommandError",
    "storage": "Directory DirectoryError FileType FileStat",
    "types": "CoreWarnings OverlapAction FastEnum SourceRef",
    "node": "MappingNode Node ProvenanceInformation ScalarNode SequenceNode",
    "plugin": "Plugin",
    "source": "Source SourceError SourceFetcher SourceInfo SourceInfoMedium SourceVersionType",
    "sourcemirror": "SourceMirror SourceMirrorError",
    "downloadablefilesource": "DownloadableFileSource",
    "element": "Element ElementError DependencyConfiguration",
    "buildelement": "BuildElement",
    "scriptelement": "ScriptElement",
}
_MODULES = {name: module for module, names in _WHERE.items() for name in names.split()}
_SUBMODULES = frozenset(_WHERE) | {"exceptions"}

__all__ = sorted(_MODULES)


def __getattr__(name):
    import sys

    module = _MODULES.get(name)
    if module is not None:
        full = "buildstream." + module
        __import__(full)
        value = getattr(sys.modules[full], name)
        globals()[name] = value
        return value
    if name in _SUBMODULES:
        full = "buildstream." + name
        __import__(full)
        return sys.modules[full]
    raise AttributeError("module 'buildstream' has no attribute '{}'".format(name))

"""The sandbox of elements."""

from .sandbox import Sandbox, SandboxCommandError, _SandboxFlags

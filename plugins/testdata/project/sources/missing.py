"""A plugin that imports what isn't there."""

import no_such_module_anywhere  # noqa: F401

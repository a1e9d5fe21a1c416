"""No plugin: it has no setup()."""

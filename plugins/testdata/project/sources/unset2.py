"""No plugin: its setup is no function."""

setup = 5

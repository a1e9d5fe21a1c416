"""A plugin that is no Python."""

def setup(:

def setup():
    """Gives a text."""
    return "a"

"""What plugins of this directory share; each imports it relatively."""


def joined(*parts):
    return "+".join(parts)

"""The host's own half: frames, questions, modules, and what a plugin looked at. Plugins have no business here."""

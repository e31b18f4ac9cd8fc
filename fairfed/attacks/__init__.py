"""Attacks on a finished run, as those who see its messages and its models could carry them out."""

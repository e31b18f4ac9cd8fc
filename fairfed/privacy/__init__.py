"""Sums that nobody can open, and the privacy that noise gives: mathematics, without messages."""

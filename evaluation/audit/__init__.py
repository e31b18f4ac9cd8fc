"""Auditing tables of predictions: exact from counts, mergeable, with intervals and tests."""

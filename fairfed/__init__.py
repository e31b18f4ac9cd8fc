"""Federated image models that stay fair where data is missing."""

__version__ = "0.2.0"

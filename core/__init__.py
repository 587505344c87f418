"""Stockyard without a window: everything the program knows and does, free of Qt."""

__version__ = "0.1.0"

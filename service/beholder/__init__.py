"""Beholder scores generated media the way people see it."""

__version__ = "0.1.0"

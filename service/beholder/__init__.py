"""Beholder scores generated media the way people see it."""

from importlib.metadata import version

__version__ = version("beholder")

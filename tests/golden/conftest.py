"""What tests of scorers share."""

import sys

import pytest

import model_code
from model_code import MODELS, Load


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Load:
    """Return a function that imports a file of models/."""
    monkeypatch.setattr(sys, "path", [str(MODELS), *sys.path])
    return model_code.load_file

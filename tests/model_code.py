"""Code of models/, as the tests that look inside it import it."""

import importlib.util
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

MODELS = Path(__file__).resolve().parents[1] / "models"
Load = Callable[[str], ModuleType]


def load_file(path: str | Path) -> ModuleType:
    """Import a file of models/, told from there or in full; what it imports from there has to be on the path."""
    spec = importlib.util.spec_from_file_location(Path(path).stem, MODELS / path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module

"""Files of arrays, as an operator fits them and a server reads them: NumPy's own, nothing pickled."""

import contextlib
import os
import struct
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from beholder.errors import ConfigError

_BROKEN = (
    OSError,
    LookupError,
    ValueError,
    TypeError,
    AttributeError,
    ArithmeticError,
    EOFError,
    MemoryError,
    RuntimeError,
    SyntaxError,
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
)
"""What NumPy and zipfile raise at files that are not what they claim."""


def read_npz(path: Path, what: str, format_: int) -> Mapping[str, NDArray[Any]]:
    """Read the arrays of a file that `write_npz` wrote.

    Args:
        what: the file is, for the error: "a background".
        format_: the only one that is read.

    Raises:
        ConfigError: it is absent, no such file, cut off, or of another format; the message names it.
    """
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            found = int(file["format"])
            arrays = {} if found != format_ else {name: np.asarray(file[name]) for name in file.files}
    except _BROKEN as error:
        reason = getattr(error, "strerror", None) or error or repr(error)
        raise ConfigError(f"{path}: can't be read as {what}: {reason}") from error
    if found != format_:
        raise ConfigError(f"{path}: {what} of format {found}; this server reads {format_}")
    return arrays


def write_npz(path: Path, format_: int, arrays: Mapping[str, Any]) -> None:
    """Write arrays, whole or not at all; the same arrays give the same bytes.

    Raises:
        ConfigError: the file can't be written.
    """
    part = path.with_name(f".{path.name}.part")
    try:
        with part.open("wb") as file:
            every: dict[str, Any] = {"format": np.int64(format_), **arrays}
            np.savez_compressed(file, **every)
        os.replace(part, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        raise ConfigError(f"{path}: can't be written: {error.strerror or error}") from error

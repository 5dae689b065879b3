"""The composition root: builds the rooms into a service that can be started and stopped."""

import dataclasses
import logging
import os
import platform
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import beholder
from beholder.clock import monotonic
from beholder.config import MIB, Config
from beholder.engine.embed import Embeddings
from beholder.engine.engine import Engine
from beholder.errors import ConfigError
from beholder.metrics import Metrics
from beholder.runtime.device import choose_device
from beholder.runtime.session import Device
from beholder.scoring.catalog import Catalog, load_catalog, shipped_models
from beholder.scoring.elsewhere import Elsewhere
from beholder.scoring.load import Loaded, load_scorers
from beholder.store.open import open_store
from beholder.store.store import Limits
from beholder.taste.eye import encoders_with_background, load_eyes
from beholder.taste.learned import Learned
from beholder.taste.tastes import Tastes

log = logging.getLogger(__name__)
CPU_QUOTA = Path("/sys/fs/cgroup/cpu.max")
CUDA_RUNNERS = 2
"""Of each graph: while one batch is computed, the next is copied to the device."""


@dataclass(frozen=True)
class Offer:
    """What a server says of itself when it starts: names of scorers, of those missing and why, and of taste's eyes."""

    scorers: tuple[str, ...]
    missing: Mapping[str, str]
    eyes: tuple[str, ...]


@dataclass(frozen=True)
class Service:
    """A built engine with what it was built from."""

    config: Config
    metrics: Metrics
    engine: Engine
    loaded: Loaded
    embeddings: Embeddings
    tastes: Tastes | None
    """None where the operator named no store."""

    @property
    def offer(self) -> Offer:
        """What can be asked of it."""
        eyes = tuple(sorted(self.tastes.eyes)) if self.tastes else ()
        return Offer(tuple(sorted(self.loaded.scorers)), self.loaded.missing, eyes)

    def start(self) -> None:
        """Warm up, then let requests in; blocks.

        Raises:
            Exception: a graph failed on its warm-up, or the store can't be read.
        """
        if self.tastes:
            self.tastes.learned.start()
        self.engine.start()

    def stop(self) -> None:
        """Stop the threads, after the batches that run, and let go of the store."""
        self.engine.stop()
        if self.tastes:
            self.tastes.stop()


def build(config: Config, encoders: Sequence[str] = ()) -> Service:
    """Load the scorers, open the store of tastes and build the engine; it takes requests after `start()`.

    Args:
        encoders: names of encoders that are wanted for themselves.

    Raises:
        ConfigError: a setting, a scorer folder, a model file, the device or the store is wrong.
    """
    device = choose_device(config.device, config.device_id[0], config.intra_op_threads)
    config, metrics = with_threads(config, device.kind), Metrics()
    catalog, loaded = load(config, device, encoders)
    engine = Engine(catalog, loaded, config, device.kind, monotonic, metrics)
    return furnish(config, metrics, loaded, engine, device.kind)


def with_threads(config: Config, device: str) -> Config:
    """Return the settings with no zero left in the numbers of threads."""
    cores = usable_cores()
    own_runners = max(1, cores // config.intra_op_threads) if device == "cpu" else CUDA_RUNNERS
    runners, threads = config.runners or own_runners, config.decode_threads or cores
    return dataclasses.replace(config, runners=runners, decode_threads=threads)


def load(
    config: Config, device: Device, encoders: Sequence[str] = (), elsewhere: Mapping[str, Elsewhere] | None = None
) -> tuple[Catalog, Loaded]:
    """Load the scorers that the settings name, with the encoders of tastes where those are kept.

    Args:
        elsewhere: the graphs that another process has; see `load_scorers`.

    Raises:
        ConfigError: a setting, a scorer folder or a model file is wrong.
    """
    catalog = load_catalog([Path(folder) for folder in config.models] or [shipped_models()])
    if config.taste_store:
        encoders = [*encoders, *encoders_with_background(catalog, config.taste_backgrounds)]
    found = load_scorers(catalog, config.scorers, device, config.max_batch_rows, encoders=encoders, elsewhere=elsewhere)
    if elsewhere is None:
        for provider, count in Counter(graph.session.provider for graph in found.graphs.values()).items():
            log.info("%d graphs run on %s", count, provider)
    return catalog, found


def furnish(config: Config, metrics: Metrics, loaded: Loaded, engine: Engine, device: str) -> Service:
    """Put an engine's service together.

    Raises:
        ConfigError: the store of tastes can't be opened.
    """
    describe(loaded, device, metrics)
    embeddings = Embeddings(engine, config.max_samples)
    tastes = _tastes(engine.catalog, loaded, embeddings, config, metrics)
    return Service(config, metrics, engine, loaded, embeddings, tastes)


def _tastes(
    catalog: Catalog, loaded: Loaded, embeddings: Embeddings, config: Config, metrics: Metrics
) -> Tastes | None:
    if not config.taste_store:
        return None
    eyes = load_eyes(catalog, loaded, config.taste_backgrounds, config.taste_priors)
    if config.taste_encoder not in eyes:
        found = ", ".join(eyes) or "none: run `beholder export`"
        raise ConfigError(f"taste_encoder: no encoder {config.taste_encoder!r} that tastes can use; there are: {found}")
    limits = Limits(config.max_tastes, config.max_taste_images, config.max_taste_choices, config.max_taste_mb)
    store = open_store(config.taste_store, limits)
    learned = Learned(store, eyes, monotonic, metrics, config.taste_memory_mb * MIB, config.taste_poll_s)
    keeps_images = config.taste_images == "keep"
    return Tastes(store, learned, eyes, config.taste_encoder, embeddings, keeps_images=keeps_images)


def usable_cores(quota: Path = CPU_QUOTA) -> int:
    """Return how many cores the process may use: those of its affinity, or a container's CPU quota (cgroup v2)."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota_us, period_us = map(int, quota.read_text(encoding="ascii").split())
    except (OSError, ValueError):  # no cgroup v2, or `max`: no quota
        return cores
    return min(cores, max(1, quota_us // period_us))


def describe(loaded: Loaded, device: str, metrics: Metrics) -> None:
    """Write down what runs where."""
    metrics.build.info({"version": beholder.__version__, "python": platform.python_version(), "device": device})
    for name, seconds in loaded.load_seconds.items():
        metrics.load_seconds.labels(name).set(seconds)
    for name, graph in loaded.graphs.items():
        metrics.provider.labels(name, graph.session.provider).set(1)
    for scorer in loaded.scorers.values():
        spec = scorer.spec
        metrics.scorer_info.labels(spec.name, spec.version, spec.kind.name, scorer.graph.name, scorer.digest).set(1)

"""Every deployment setting, declared once: environment name, flag and help come from the field.

What a scorer *is* lives in its `scorer.toml`; where the service *runs* lives here.
"""

import dataclasses
import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from beholder.errors import ConfigError

PREFIX = "BEHOLDER_"
MIB = 2**20
DEVICES = ("auto", "cuda", "cpu")


def _setting(default: Any, help_text: str, low: float | None = None, high: float | None = None, **more: Any) -> Any:
    return field(default=default, metadata={"help": help_text, "low": low, "high": high, **more})


@dataclass(frozen=True)
class Config:
    """The settings of one server; every field may be set as `BEHOLDER_<FIELD>` or `--<field>`."""

    address: str = _setting("127.0.0.1:50051", "host:port that gRPC listens on; port 0 picks a free one")
    metrics_address: str = _setting("127.0.0.1:9464", "host:port of /metrics for Prometheus; port 0 picks a free one")
    models: tuple[str, ...] = _setting((), "folders of scorer folders, separated by ':'; empty: the shipped scorers")
    scorers: tuple[str, ...] = _setting(
        (), "names of the scorers to serve, separated by ','; empty: all exported ones", separator=","
    )
    device: str = _setting("auto", "cpu, cuda (or no start), or auto: the CPU where CUDA fails", choices=DEVICES)
    device_id: tuple[int, ...] = _setting((0,), "which CUDA device, or several: 0,1", 0, 255, separator=",")
    fronts: int = _setting(
        0, "processes for gRPC and decoding, before one engine process for each device; 0: all in one", 0, 64
    )
    intra_op_threads: int = _setting(1, "threads inside one run on the CPU", 1, 1024)
    runners: int = _setting(
        0, "runs at the same time, on a GPU for each graph; 0: one per core, on a GPU two per graph", 0, 1024
    )
    decode_threads: int = _setting(0, "images decoded at the same time; 0: one per core", 0, 1024)
    max_queue_rows: int = _setting(
        4096, "rows admitted and not yet answered; more are refused, bulk work from half of it on", 1, 10_000_000
    )
    max_queue_mb: int = _setting(1024, "MiB of samples admitted and not yet answered; more are refused", 1, 1_000_000)
    max_prepared_mb: int = _setting(512, "MiB of decoded pixels that may wait for the device", 1, 1_000_000)
    max_batch_rows: int = _setting(0, "rows in one batch; 0: what each scorer declares for the device", 0, 4096)
    queue_delay_ms: float = _setting(0.0, "how long an idle device waits for a batch to fill", 0.0, 10_000.0)
    default_timeout_s: float = _setting(60.0, "deadline of a call that brings none", 0.001, 86_400.0)
    max_samples: int = _setting(256, "samples in one request", 1, 100_000)
    max_message_mb: int = _setting(256, "MiB in one gRPC message", 1, 2047)
    max_image_mb: float = _setting(16.0, "MiB of one encoded image", 0.001, 2047.0)
    max_image_mpx: float = _setting(40.0, "megapixels of one image, checked before it is decoded", 0.001, 1000.0)
    shm: str = _setting("", "path of a Unix socket where callers on this host are lent memory for images; empty: off")
    shm_mb: int = _setting(1024, "MiB of memory lent at the same time", 1, 1_000_000)
    cache_mb: int = _setting(64, "MiB of embeddings and results kept for repeated images; 0: off", 0, 1_000_000)
    taste_store: str = _setting("", "file or postgresql:// address that keeps tastes; empty: no tastes")
    taste_encoder: str = _setting("taste-eye", "encoder of new tastes that name none")
    taste_backgrounds: tuple[str, ...] = _setting((), "background files of encoders that ship none, separated by ':'")
    taste_priors: tuple[str, ...] = _setting((), "files of what most people like, one for an encoder, separated by ':'")
    taste_images: str = _setting(
        "forget", "keep, or forget: whether images of opinions are stored", choices=("forget", "keep")
    )
    taste_memory_mb: int = _setting(512, "MiB of learned tastes kept in memory", 1, 1_000_000)
    taste_poll_s: float = _setting(0.25, "how often to look for what other replicas write", 0.01, 60.0)
    max_tastes: int = _setting(100_000, "tastes in the store", 1, 100_000_000)
    max_taste_images: int = _setting(10_000, "images of one taste", 1, 1_000_000)
    max_taste_choices: int = _setting(100_000, "choices of one taste", 1, 100_000_000)
    max_taste_mb: int = _setting(1024, "MiB of one taste's images, where they are kept", 1, 1_000_000)
    drain_delay_s: float = _setting(0.0, "on SIGTERM, how long to serve on as NOT_SERVING", 0.0, 3600.0)
    drain_s: float = _setting(30.0, "on SIGTERM, how long calls in flight may take to finish", 0.0, 3600.0)
    log_level: str = _setting("info", "debug, info, warning or error", choices=("debug", "info", "warning", "error"))

    def __post_init__(self) -> None:
        for spec in fields(self):
            _check(spec, getattr(self, spec.name))


def config_from(environ: Mapping[str, str], **overrides: Any) -> Config:
    """Read `BEHOLDER_*` settings, then lay typed overrides (from flags) over them.

    Raises:
        ConfigError: an unknown `BEHOLDER_*` name (the nearest valid one is named) or a bad value.
    """
    by_name = {PREFIX + spec.name.upper(): spec for spec in fields(Config)}
    values: dict[str, Any] = {}
    for name, text in environ.items():
        if not name.startswith(PREFIX):
            continue
        if name not in by_name:
            near = difflib.get_close_matches(name, by_name, n=1)
            hint = f"; did you mean {near[0]}?" if near else f"; known: {', '.join(sorted(by_name))}"
            raise ConfigError(f"unknown setting {name}{hint}")
        values[by_name[name].name] = _parse(by_name[name], text)
    return Config(**values | overrides)


def split_address(address: str, name: str = "address") -> tuple[str, int]:
    """Split host:port, with [::1]:port for IPv6.

    Raises:
        ConfigError: no port, or one outside 0 to 65535.
    """
    host, colon, port = address.rpartition(":")
    if not colon or not host or not port.isdecimal() or int(port) > 65535:
        raise ConfigError(f"{name}: want host:port with a port from 0 to 65535, got {address!r}")
    return host.strip("[]"), int(port)


def _parse(spec: dataclasses.Field[Any], text: str) -> Any:
    default: Any = spec.default
    kind: Any = type(default)
    if kind is tuple:
        kind = type(default[0]) if default else str
        separator = spec.metadata.get("separator", ":")
        parts = [part.strip() for part in text.split(separator) if part.strip()]
    else:
        parts = [text]
    try:
        values = tuple(map(kind, parts))
    except ValueError:
        wanted = "a whole number" if kind is int else "a number"
        raise ConfigError(f"{PREFIX}{spec.name.upper()}: want {wanted}, got {text!r}") from None
    return values if isinstance(default, tuple) else values[0]


def _check(spec: dataclasses.Field[Any], value: Any) -> None:
    name, meta = PREFIX + spec.name.upper(), spec.metadata
    choices = meta.get("choices", (value,))
    if value not in choices:
        near = difflib.get_close_matches(str(value), choices, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise ConfigError(f"{name}: want one of {', '.join(choices)}, got {value!r}{hint}")
    for number in value if isinstance(value, tuple) else (value,):
        if meta["low"] is not None and not meta["low"] <= number <= meta["high"]:
            raise ConfigError(f"{name}: want {meta['low']:.10g} to {meta['high']:.10g}, got {number!r}")
    if spec.default and value == ():
        raise ConfigError(f"{name}: want at least one, got none")
    if spec.name.endswith("address"):
        split_address(value, name)
    if spec.name == "models":
        for folder in value:
            if not Path(folder).is_dir():
                raise ConfigError(f"{name}: no such folder: {folder}")

"""The loop of one scorer as the settings of a server have it: the same catalogue, device, limits and cores."""

from collections.abc import Sequence
from pathlib import Path

from beholder.app import usable_cores
from beholder.bench.loop import CUDA_RUNS, File, Loop
from beholder.config import MIB, Config
from beholder.errors import ConfigError
from beholder.inputs.image import Limits
from beholder.load.mix import Ask, Dealer, Mix
from beholder.load.requests import marked
from beholder.runtime.device import choose_device
from beholder.scoring.catalog import Catalog, load_catalog, shipped_models
from beholder.scoring.load import load_scorers

DEALT = 512
"""Images dealt from the mix, after which the loop begins anew."""
MARK = bytes(8)


def catalog_of(config: Config) -> Catalog:
    """Read the catalogue that a server of these settings has."""
    return load_catalog([Path(folder) for folder in config.models] or [shipped_models()])


def ask_of(catalog: Catalog, scorer: str) -> Ask:
    """Return what to send for a scorer.

    Raises:
        ScorerNotFound: there is none of that name.
        ConfigError: it takes a prompt, for which the loop has no way.
    """
    spec = catalog.scorer(scorer)
    if spec.needs_prompt:
        raise ConfigError(f"{scorer} needs a prompt, and the loop has images alone")
    return Ask((scorer,), needs_reference=spec.needs_reference)


def files_of(mix: Mix) -> list[File]:
    """Deal images as the mix of the callers does, each in the bytes that they send."""
    dealer = Dealer(mix)
    files = [File(one.name, marked(one.data, MARK), marked(one.data, MARK, b"r")) for one in mix.pictures]
    return [files[dealer.case(number).pictures[0][0]] for number in range(DEALT)]


def open_loop(config: Config, catalog: Catalog, scorer: str, files: Sequence[File]) -> tuple[Loop, str]:
    """Load the scorer; return its loop and the kind of device that it runs on.

    Raises:
        ConfigError: it was never exported, or the device is not there.
        BeholderError: a file can't be scored.
    """
    device = choose_device(config.device, config.device_id[0], config.intra_op_threads)
    loaded = load_scorers(catalog, [scorer], device, config.max_batch_rows)
    limits = Limits(int(config.max_image_mb * MIB), int(config.max_image_mpx * 1e6))
    threads = usable_cores()
    runs = threads if device.kind == "cpu" else CUDA_RUNS
    loop = Loop(loaded.scorers[scorer], files, limits, threads, runs)
    loop.check()
    return loop, device.kind

"""Scorers whose weights are not here: their architecture is held against the peer's own module, both on random weights.

`export.py --golden` writes what the peer says to architecture.json; random weights are the same wherever they are made.
"""

import importlib
import json
import math
import tempfile
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from _export import parse_arguments, trace_asked
from _golden import Golden, Peer, load
from _lpips import State

PAIRS = (
    ("landscape-q30.jpg", "landscape.png"),
    ("still-life-blur2.png", "still-life.webp"),
    ("poster-shift1.png", "poster.png"),
)
"""(candidate, reference), in tests/assets."""


def export_untried(
    make: Callable[..., torch.nn.Module],
    golden: Golden,
    peer: Callable[[Sequence[Path]], Peer],
    random_weights: Callable[[Path], Sequence[Path]],
    side_px: int,
    *,
    weights: int,
    is_sized: bool = False,
) -> None:
    """Do what the arguments say: trace the graph, or the graph with the map, or ask the peer about random weights.

    Args:
        make: builds the module from the weight files, one for each `[[source]]` in order.
        peer: imports the authors' program and gives it such files.
        random_weights: writes such files into a folder.
        side_px: of the square images that the graph is traced on.
        is_sized: the graph takes images of that size only.
    """
    arguments = parse_arguments(weights)
    if arguments.golden:
        with tempfile.TemporaryDirectory() as folder:
            _write_architecture(golden, peer(random_weights(Path(folder))))
    else:
        trace_asked(make(*arguments.weights), arguments, side_px, is_sized=is_sized)


def import_torchvision() -> None:
    """Import torchvision beside a torch of another build: its compiled operators are missing then, and not needed."""
    register = torch.library.register_fake

    def skip_theirs(operator: Any, *arguments: Any, **options: Any) -> Any:
        if str(operator).startswith("torchvision::"):
            return lambda kernel: kernel
        return register(operator, *arguments, **options)

    with patch.object(torch.library, "register_fake", skip_theirs), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        importlib.import_module("torchvision.models")


def random_state(shapes: Mapping[str, Sequence[int]], seed: int) -> State:
    """Draw tensors by name, evenly from -b to b: b keeps the size of features for weights, and is 0.1 for vectors.

    A bit generator's own numbers stay the same in every version of numpy; those of its distributions may not.
    """
    source, state = np.random.PCG64(seed), State()
    for name, shape in shapes.items():
        bound = math.sqrt(6 / math.prod(shape[1:])) if len(shape) > 1 else 0.1
        unit = (source.random_raw(math.prod(shape)) >> np.uint64(11)) / 2**53
        state[name] = torch.from_numpy((bound * (2 * unit - 1)).astype(np.float32).reshape(shape))
    return state


def random_convolutions(shapes: Mapping[str, tuple[int, int, int]], seed: int) -> State:
    """Draw weights and biases of convolutions: name -> channels out, channels in, side of the kernel."""
    tensors: dict[str, tuple[int, ...]] = {}
    for name, (out, into, side) in shapes.items():
        tensors |= {f"{name}.weight": (out, into, side, side), f"{name}.bias": (out,)}
    return random_state(tensors, seed)


def save_states(folder: Path, states: Iterable[object]) -> list[Path]:
    """Write each as a file of torch's."""
    paths = []
    for number, state in enumerate(states):
        paths.append(folder / f"{number}.pth")
        torch.save(state, paths[-1])
    return paths


def _write_architecture(golden: Golden, peer: Peer) -> None:
    cases = [
        {
            "candidate": candidate,
            "reference": reference,
            "expected": {"value": peer(load(candidate), load(reference))},
            "tolerance": golden.tolerance,
        }
        for candidate, reference in PAIRS
    ]
    written = {"peer": golden.peer, "how": golden.how, "reason": golden.reason, "cases": cases}
    path = Path(golden.file).parent / "architecture.json"
    path.write_text(json.dumps(written, indent=2) + "\n", encoding="utf-8")

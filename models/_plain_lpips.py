"""LPIPS 0.1 as its authors publish it: their heads on a trunk of torchvision's."""

from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from _golden import U8, Golden, Peer, do_without
from _lpips import Lpips, State, heads_of, load_weights
from _trunks import Shapes
from _untried import import_torchvision, random_convolutions, random_state, save_states


class PlainLpips(Lpips):
    """LPIPS on the stages of a trunk, each of which gives features.

    Args:
        heads: the authors' file.
        trunk: torchvision's file.
        stages: builds the trunk.
    """

    def __init__(self, heads: Path, trunk: Path, stages: Callable[[State], list[torch.nn.Module]]) -> None:
        super().__init__(stages(load_weights(trunk)), heads_of(load_weights(heads)))

    def features(self, x: torch.Tensor) -> list[torch.Tensor]:
        taken = []
        for stage in self.layers:
            x = stage(x)
            taken.append(x)
        return taken


def random_files(folder: Path, shapes: Shapes, channels: Sequence[int]) -> list[Path]:
    """Write random heads, none below 0 as the authors' are, and a random trunk.

    Args:
        channels: of the features of each stage.
    """
    heads = random_state({f"lin{index}.model.1.weight": (1, count, 1, 1) for index, count in enumerate(channels)}, 1)
    return save_states(folder, [{name: head.abs() for name, head in heads.items()}, random_convolutions(shapes, 2)])


def peer_on(net: str, files: Sequence[Path]) -> Peer:
    """Return the authors' own module on torchvision's layers, with weights from files, in float32 as they run it."""
    import_torchvision()
    do_without("IPython", "tqdm", "skimage")
    import lpips

    heads, trunk = files[0], load_weights(files[1])
    theirs = lpips.LPIPS(net=net, pnet_rand=True, model_path=str(heads), verbose=False)
    # They cut the layers into slices and keep each layer's place: `slice2.3.weight` is `features.3.weight`.
    theirs.net.load_state_dict({name: trunk[f"features.{name.partition('.')[2]}"] for name in theirs.net.state_dict()})

    def distance(candidate: U8, reference: U8) -> float:
        with torch.inference_mode():
            return float(theirs(lpips.im2tensor(candidate), lpips.im2tensor(reference)))

    return distance


def golden_on(net: str, file: str) -> Golden:
    """Say how the authors' module was asked."""
    return Golden(
        file,
        peer="lpips 0.1.4 on torchvision 0.28.0",
        how=f'lpips.LPIPS(net="{net}")(im2tensor(candidate), im2tensor(reference)), heads and trunk of random numbers',
        tolerance=1e-6,
        reason="float32 sums in another order",
    )

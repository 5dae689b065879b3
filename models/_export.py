"""What every export.py does: read arguments, trace torch code if it has any, write one whole file.

No file names its maker or holds a path, and the exporter folds no arithmetic: its float32 sums may differ from
machine to machine, and a digest must depend on the pinned packages alone.
"""

import argparse
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import onnx
import onnx_ir
import torch
from onnx_ir.passes import Sequential, common

if TYPE_CHECKING:
    from _golden import Golden, ImagePeer, Peer

OPSET = 17


def parse_arguments(weights: int = 0) -> argparse.Namespace:
    """Read `--output PATH` with `--weights FILE`, which must be there `weights` times, or `--golden`."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--output", type=Path, help="the .onnx file to write")
    parser.add_argument("--map", action="store_true", help="write the graph that also draws the error map")
    parser.add_argument("--weights", type=Path, action="append", default=[], help="one for each [[source]], in order")
    parser.add_argument("--golden", action="store_true", help="write golden.json instead, with the peer's own program")
    arguments = parser.parse_args()
    if arguments.golden == bool(arguments.output):
        parser.error("want either --output PATH or --golden")
    if arguments.output and len(arguments.weights) != weights:
        parser.error(f"--weights: want {weights}, got {len(arguments.weights)}")
    return arguments


def export_pair(
    make: Callable[..., torch.nn.Module], golden: "Golden", peer: "Callable[[], Peer]", side_px: int, weights: int = 0
) -> None:
    """Do what the arguments say for a FIDELITY scorer: trace its graph, or its graph with the map, or ask its peer.

    Args:
        make: builds the module, from the weight files in order; a module that can draw has `map(candidate, reference)`,
            which returns the scores (N,) and maps (N, H, W), 0 where nothing can be seen.
        peer: imports the authors' program.
        side_px: of the square images that the graph is traced on.
    """
    arguments = parse_arguments(weights)
    if arguments.golden:
        from _golden import write_golden

        write_golden(golden, peer())
    else:
        trace_asked(make(*arguments.weights), arguments, side_px)


def trace_asked(
    module: torch.nn.Module, arguments: argparse.Namespace, side_px: int, *, is_sized: bool = False
) -> None:
    """Trace the graph of a FIDELITY scorer that the arguments ask for: it, or the one that also draws."""
    drawing = _Drawing(module) if arguments.map else module
    trace_pair(drawing, arguments.output, side_px, with_map=arguments.map, is_sized=is_sized)


def export_image(
    make: Callable[..., torch.nn.Module],
    golden: "Golden",
    peer: "Callable[[], ImagePeer]",
    side_px: int,
    weights: int = 0,
) -> None:
    """Do what the arguments say for a scorer of one image of any size: trace its graph, or ask its peer.

    Args:
        make: builds the module, from the weight files in order; its `forward(candidate)` maps uint8 (N, H, W, 3) to
            scores (N,).
        peer: imports the authors' program.
        side_px: of the square image that the graph is traced on.
    """
    arguments = parse_arguments(weights)
    if arguments.golden:
        from _golden import write_quality_golden

        write_quality_golden(golden, peer())
    else:
        example = {"candidate": torch.zeros(1, side_px, side_px, 3, dtype=torch.uint8)}
        dynamic = {"candidate": {0: "batch", 1: "height", 2: "width"}, "score": {0: "batch"}}
        trace(make(*arguments.weights), example, ["score"], dynamic, arguments.output)


class _Drawing(torch.nn.Module):
    """A scorer that also draws its error map."""

    def __init__(self, scorer: torch.nn.Module) -> None:
        super().__init__()
        self.scorer = scorer

    def forward(self, candidate: torch.Tensor, reference: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        scores, maps = self.scorer.map(candidate, reference)
        return scores, maps


def trace(
    module: torch.nn.Module,
    inputs: Mapping[str, torch.Tensor],
    outputs: Sequence[str],
    dynamic: Mapping[str, Mapping[int, str]],
    output: Path,
) -> None:
    """Trace `module` on example `inputs` and write the graph to `output`.

    Args:
        dynamic: tensor name -> axis -> its name, for each axis that may change.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the TorchScript exporter is old, and is the one that takes seconds
        torch.onnx.export(
            module.eval(),
            tuple(inputs.values()),
            str(output),
            input_names=list(inputs),
            output_names=list(outputs),
            dynamic_axes={name: dict(axes) for name, axes in dynamic.items()},
            opset_version=OPSET,
            do_constant_folding=False,
            dynamo=False,
        )
    save(_merge(onnx.load(output)), output)


def trace_pair(
    module: torch.nn.Module, output: Path, side_px: int, *, with_map: bool = False, is_sized: bool = False
) -> None:
    """Trace a FIDELITY scorer of two uint8 images of any one size, on examples of `side_px`.

    Args:
        is_sized: it takes images of `side_px` only.
    """
    example = torch.zeros(1, side_px, side_px, 3, dtype=torch.uint8)
    axes = {0: "batch"} if is_sized else {0: "batch", 1: "height", 2: "width"}
    dynamic = {"candidate": axes, "reference": axes, "score": {0: "batch"}} | ({"map": axes} if with_map else {})
    outputs = ["score", "map"] if with_map else ["score"]
    trace(module, {"candidate": example, "reference": example}, outputs, dynamic, output)


def _merge(model: onnx.ModelProto) -> onnx.ModelProto:
    """Merge equal constants, and nodes that do the same to the same, for a session takes time to open with each node.

    A trace writes a constant anew wherever one is used. Nothing is computed here.
    """
    merge = Sequential(
        common.LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0),
        common.DeduplicateHashedInitializersPass(),
        common.IdentityEliminationPass(),
        common.CommonSubexpressionEliminationPass(),
        common.RemoveUnusedNodesPass(),
    )
    return onnx_ir.to_proto(merge(onnx_ir.from_proto(model)).model)


def save(model: onnx.ModelProto, output: Path) -> None:
    """Check a graph and write it without what differs between runs.

    Raises:
        ValueError: a weight lies in another file.
        onnx.checker.ValidationError: the graph is not valid.
    """
    for tensor in model.graph.initializer:
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            raise ValueError(f"{output}: weight {tensor.name} lies in another file")
    for part in (*model.graph.node, *model.graph.initializer):
        part.ClearField("doc_string")
        part.ClearField("metadata_props")
    model.producer_name, model.producer_version = "beholder", ""
    model.ir_version = onnx.helper.find_min_ir_version_for(model.opset_import)
    onnx.checker.check_model(model, full_check=True)
    output.write_bytes(model.SerializeToString(deterministic=True))

"""What the Open Inference Protocol calls a model: a scorer under the name that it was asked by, described."""

from collections.abc import Sequence
from dataclasses import dataclass

from beholder.config import Config
from beholder.errors import ScorerNotFound
from beholder.inference_v2 import grpc_service_pb2 as pb
from beholder.inference_v2 import model_config_pb2 as config_pb
from beholder.rpc.oip_tensors import BYTES, CANDIDATE, FP32, PROMPT, REFERENCE, UINT8
from beholder.scoring.asked import Scorer
from beholder.scoring.spec import ScorerSpec
from beholder.types import Priority

SCORE, LABELS = "score", "labels"
PLATFORM = "beholder"
FORMS = {"/uint8": UINT8, "/fp32": FP32}
"""What may stand behind a scorer's name -> the datatype that its images are then described as.

Tools read one datatype for an input from its description; what a request brings is what the request says it is.
"""
PIXELS = (-1, -1, 3)
DATA_TYPES = {BYTES: config_pb.TYPE_STRING, UINT8: config_pb.TYPE_UINT8, FP32: config_pb.TYPE_FP32}


@dataclass(frozen=True)
class Port:
    """An input or output, as described.

    Attributes:
        dims: its shape without the samples, -1 where any size may be.
    """

    name: str
    datatype: str
    dims: Sequence[int]


@dataclass(frozen=True)
class Model:
    """A scorer as a model.

    Attributes:
        name: as asked.
        datatype: of images, as described.
    """

    name: str
    datatype: str
    scorer: Scorer

    @property
    def spec(self) -> ScorerSpec | None:
        """What its folder says; None for a taste."""
        return self.scorer.spec if isinstance(self.scorer.spec, ScorerSpec) else None

    @property
    def version(self) -> str:
        """The one version that there is."""
        return str(self.spec.version) if self.spec else "1"

    @property
    def labels(self) -> Sequence[str]:
        """The names of its labels, in the scorer's order."""
        return self.spec.labels if self.spec else ()

    @property
    def top_labels(self) -> int:
        """How many labels a score carries."""
        return self.spec.top_labels if self.spec else 0

    @property
    def inputs(self) -> Sequence[Port]:
        """What a request must bring."""
        dims = (1,) if self.datatype == BYTES else PIXELS
        ports = [Port(CANDIDATE, self.datatype, dims)]
        if self.scorer.spec.needs_reference:
            ports.append(Port(REFERENCE, self.datatype, dims))
        if self.scorer.spec.needs_prompt:
            ports.append(Port(PROMPT, BYTES, (1,)))
        return ports

    @property
    def outputs(self) -> Sequence[Port]:
        """What a response brings; labels are numbers where a score carries all of them, else texts."""
        ports = [Port(SCORE, FP32, (1,))]
        if self.labels:
            ports.append(Port(LABELS, BYTES if self.top_labels < len(self.labels) else FP32, (self.top_labels,)))
        return ports

    def check_version(self, version: str) -> None:
        """Refuse a version that there is none of.

        Raises:
            ScorerNotFound: neither empty nor the one that is served.
        """
        if version not in ("", self.version):
            raise ScorerNotFound(f"no version {version!r} of {self.name}; there is {self.version}", "model_version")


def split(name: str) -> tuple[str, str]:
    """Return the scorer that a model's name asks, and the datatype that its images are described as."""
    for suffix, datatype in FORMS.items():
        if name.endswith(suffix):
            return name.removesuffix(suffix), datatype
    return name, BYTES


def metadata_to(model: Model) -> pb.ModelMetadataResponse:
    """Describe a model as the protocol does."""
    message = pb.ModelMetadataResponse(name=model.name, versions=[model.version], platform=PLATFORM)
    for tensors, ports in ((message.inputs, model.inputs), (message.outputs, model.outputs)):
        for port in ports:
            tensors.add(name=port.name, datatype=port.datatype, shape=(-1, *port.dims))
    return message


def config_to(model: Model, config: Config) -> config_pb.ModelConfig:
    """Describe a model as Triton's configurations do."""
    is_kept = config.cache_mb > 0 and len(model.scorer.graph.roles) == 1
    message = config_pb.ModelConfig(
        name=model.name,
        platform=PLATFORM,
        backend=PLATFORM,
        max_batch_size=config.max_samples,
        input=[_input(port) for port in model.inputs],
        output=[_output(port) for port in model.outputs],
        dynamic_batching=config_pb.ModelDynamicBatching(priority_levels=len(Priority), default_priority_level=1),
        model_transaction_policy=config_pb.ModelTransactionPolicy(decoupled=False),
        response_cache=config_pb.ModelResponseCache(enable=is_kept),
    )
    for name, value in _parameters(model).items():
        message.parameters[name].string_value = value
    return message


def _input(port: Port) -> config_pb.ModelInput:
    return config_pb.ModelInput(name=port.name, data_type=DATA_TYPES[port.datatype], dims=port.dims)


def _output(port: Port) -> config_pb.ModelOutput:
    return config_pb.ModelOutput(name=port.name, data_type=DATA_TYPES[port.datatype], dims=port.dims)


def _parameters(model: Model) -> dict[str, str]:
    asked, spec = model.scorer.spec, model.spec
    told = {"kind": asked.kind.name, "direction": asked.direction.name}
    if spec is None:
        return told | {"range_min": "0", "range_max": "1"}
    low, high = spec.range_
    told |= {"range_min": f"{low:g}", "range_max": f"{high:g}", "summary": spec.summary, "licence": spec.licence}
    told["digest"] = spec.graph.file.sha256
    return told | ({"labels": "\n".join(spec.labels)} if spec.labels else {})

"""All servers that are measured."""

from collections.abc import Mapping

from bench.peers.peer import Peer
from bench.peers.servers.beholder import Beholder, BeholderFast, BeholderOip, BeholderStream
from bench.peers.servers.bentoml import BentoML
from bench.peers.servers.grpcio import BareGrpc
from bench.peers.servers.kserve import KServe
from bench.peers.servers.litserve import LitServe
from bench.peers.servers.mlserver import MLServer
from bench.peers.servers.mosec import Mosec
from bench.peers.servers.ray_serve import RayServe
from bench.peers.servers.triton import Triton

PEERS: Mapping[str, Peer] = {
    "beholder": Beholder(),
    "beholder-stream": BeholderStream(),
    "beholder-fast": BeholderFast(),
    "beholder-oip": BeholderOip(),
    "triton": Triton(),
    "kserve": KServe(),
    "mlserver": MLServer(),
    "ray-serve": RayServe(),
    "bentoml": BentoML(),
    "mosec": Mosec(),
    "litserve": LitServe(),
    "grpcio": BareGrpc(),
}
"""Key on the command line -> server."""

"""NVIDIA Triton: the real server, as the wheel of PyTriton brings it, with its Python backend."""

import os
import shutil
import sysconfig
from collections.abc import Mapping
from pathlib import Path

from bench.peers.peer import HERE, OipPeer, Place

CONFIG = """\
name: "score"
backend: "python"
max_batch_size: 4
input [ {{ name: "candidate", data_type: TYPE_STRING, dims: [ 1 ] }} ]
output [ {{ name: "score", data_type: TYPE_FP32, dims: [ 1 ] }} ]
instance_group [ {{ kind: KIND_CPU, count: {cores} }} ]
dynamic_batching {{ }}
"""


class Triton(OipPeer):
    """A model in the Python backend, a process for each instance."""

    name = "Triton"
    packages = ("nvidia-pytriton==0.7.0", "numpy<2")
    settings = (
        "tritonserver with its Python backend: an instance for each core, dynamic batches of up to 4 without a delay"
    )

    def configure(self, place: Place) -> None:
        """Write the model repository, and the backend with the stub of this Python."""
        version = place.folder / "models" / "score" / "1"
        version.mkdir(parents=True)
        shutil.copy(HERE / "job.py", version)
        shutil.copy(HERE / "programs" / "with_triton.py", version / "model.py")
        (version.parent / "config.pbtxt").write_text(CONFIG.format(cores=place.cores))
        home = self._home(place)
        backend = place.folder / "backends" / "python"
        shutil.copytree(home / "backends" / "python", backend)
        python = place.site.parent.name.removeprefix("python")
        shutil.copy(home / "python_backend_stubs" / python / "triton_python_backend_stub", backend)

    def command(self, place: Place) -> list[str]:
        """Serve the repository on 127.0.0.1."""
        addresses = [f"--{kind}-address=127.0.0.1" for kind in ("grpc", "http", "metrics")]
        ports = [f"--{kind}-port={port}" for kind, port in zip(("grpc", "http", "metrics"), place.ports, strict=False)]
        return [
            str(self._home(place) / "bin" / "tritonserver"),
            f"--model-repository={place.folder / 'models'}",
            f"--backend-directory={place.folder / 'backends'}",
            "--allow-gpu-metrics=false",
            *addresses,
            *ports,
        ]

    def environment(self, place: Place) -> Mapping[str, str]:
        """Let the stub find the packages and the libraries: it looks beside the first `python3` of PATH only."""
        libraries = [place.site / "nvidia_pytriton.libs", sysconfig.get_config_var("LIBDIR")]
        return {
            **super().environment(place),
            "PATH": os.pathsep.join([str(place.venv / "bin"), os.environ["PATH"]]),
            "LD_LIBRARY_PATH": ":".join(map(str, libraries)),
        }

    def _home(self, place: Place) -> Path:
        return place.site / "pytriton" / "tritonserver"

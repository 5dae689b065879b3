"""What a user of Triton's Python backend writes: `execute` gets the requests of one batch."""

from typing import Any

import numpy as np
import triton_python_backend_utils as triton
from job import Job


class TritonPythonModel:
    """Takes JPEGs, answers numbers."""

    def initialize(self, args: dict[str, Any]) -> None:
        """Open the graph."""
        self.job = Job()

    def execute(self, requests: list[Any]) -> list[Any]:
        """Score the rows of all requests in one run."""
        given = [triton.get_input_tensor_by_name(request, "candidate").as_numpy().ravel() for request in requests]
        scores = np.asarray(self.job.score([image for images in given for image in images]), np.float32)
        parts = np.split(scores, np.cumsum([len(images) for images in given])[:-1])
        return [triton.InferenceResponse([triton.Tensor("score", part[:, None])]) for part in parts]

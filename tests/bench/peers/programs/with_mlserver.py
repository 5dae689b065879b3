"""What a user of MLServer writes: a runtime that works in threads, one for each core."""

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor

from job import Job
from mlserver import MLModel
from mlserver.types import InferenceRequest, InferenceResponse, ResponseOutput


class Scorer(MLModel):
    """Takes JPEGs, answers numbers."""

    async def load(self) -> bool:
        """Open the graph."""
        self.job = Job()
        self.threads = ThreadPoolExecutor(int(os.environ["CORES"]))
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """Score the rows of one batch."""
        images = list(payload.inputs[0].data)
        scores = await asyncio.get_running_loop().run_in_executor(self.threads, self.job.score, images)
        output = ResponseOutput(name="score", shape=[len(scores), 1], datatype="FP32", data=scores)
        return InferenceResponse(model_name=self.name, outputs=[output])

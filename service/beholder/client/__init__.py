"""What callers import: `Client` for threads, `AsyncClient` for asyncio, and the values that both return.

A client knows the wire, values and errors, and no room of the server.
"""

from beholder.client.aio import AsyncClient
from beholder.client.results import Ranked, Result, ScorerInfo
from beholder.client.samples import ImageLike, Sample
from beholder.client.sync import Client
from beholder.types import Normalisation

__all__ = ["AsyncClient", "Client", "ImageLike", "Normalisation", "Ranked", "Result", "Sample", "ScorerInfo"]

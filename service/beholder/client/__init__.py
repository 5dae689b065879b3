"""What callers import: `Client` for threads, `AsyncClient` for asyncio, and the values that both return.

A client knows the wire, values and errors, and no room of the server.
"""

from beholder.client.aio import AsyncClient
from beholder.client.results import Normalisation, Ranked, Result, ScorerInfo
from beholder.client.samples import ImageLike, Sample
from beholder.client.sync import Client

__all__ = ["AsyncClient", "Client", "ImageLike", "Normalisation", "Ranked", "Result", "Sample", "ScorerInfo"]

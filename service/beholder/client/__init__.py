"""What callers import: `Client` for threads, `AsyncClient` for asyncio, and the values that both return.

A client knows the wire, values and errors, and no room of the server.
"""

from beholder.client.aio import AsyncClient
from beholder.client.opinions import ImageId, TasteImage
from beholder.client.results import Ranked, Result, ScorerInfo
from beholder.client.samples import ImageLike, Sample
from beholder.client.sync import Client
from beholder.client.taste_results import (
    Certainty,
    Choice,
    Comparison,
    Difference,
    LeftOut,
    Opinion,
    OpinionOutcome,
    Removed,
    SuggestedPair,
    Taste,
    TasteDetails,
    Told,
    Verdict,
)
from beholder.types import Normalisation

__all__ = [
    "AsyncClient",
    "Certainty",
    "Choice",
    "Client",
    "Comparison",
    "Difference",
    "ImageId",
    "ImageLike",
    "LeftOut",
    "Normalisation",
    "Opinion",
    "OpinionOutcome",
    "Ranked",
    "Removed",
    "Result",
    "Sample",
    "ScorerInfo",
    "SuggestedPair",
    "Taste",
    "TasteDetails",
    "TasteImage",
    "Told",
    "Verdict",
]

"""Small opinions for tests of stores of tastes, and a child process that tells them one after another."""

import hashlib
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from beholder.store.changes import Changes, Written
from beholder.store.opinions import Choice, Source, Verdict
from beholder.store.store import Store
from beholder.types import F32
from server_process import REPO

ENCODER, DIGEST, DIMS = "eye", "e" * 64, 16

TELLER = """
import sys
from beholder.store.open import open_store
from beholder.store.store import Limits
from taste_values import tell_one

address, name, who, count = sys.argv[1:5]
store = open_store(address, Limits())
print("open", flush=True)
for number in range(int(count)):
    tell_one(store, name, int(who) + number, f"{who}-{number}")
    print(int(who) + number, flush=True)
store.close()
"""


def image(number: int) -> str:
    """Return the id of image `number`."""
    return hashlib.sha256(str(number).encode()).hexdigest()


def embedding(number: int, dims: int = DIMS) -> F32:
    """Return its embedding."""
    return np.random.default_rng(number).standard_normal(dims, dtype=np.float32)


def like(number: int) -> Verdict:
    """Return the opinion that image `number` is good."""
    return Verdict(image(number), 1.0, Source.LIKE)


def dislike(number: int) -> Verdict:
    """Return the opinion that image `number` is bad."""
    return Verdict(image(number), -1.0, Source.DISLIKE)


def better(number: int, other: int, is_tie: bool = False) -> Choice:
    """Return the opinion that image `number` is better than `other`."""
    return Choice(image(number), image(other), is_tie)


def original(number: int) -> bytes:
    """Return the file of image `number` as sent."""
    return f"the file of image {number}; ".encode() * 20


def changes(
    *opinions: Verdict | Choice,
    numbers: Sequence[int] = (),
    remove: Sequence[int] = (),
    digest: str = DIGEST,
    originals: Sequence[int] = (),
    remove_verdicts: Sequence[int] = (),
    remove_choices: Sequence[tuple[int, int]] = (),
) -> Changes:
    """Return a write of these opinions, with the embeddings of the images `numbers` and the files of `originals`."""
    return Changes(
        verdicts=[it for it in opinions if isinstance(it, Verdict)],
        choices=[it for it in opinions if isinstance(it, Choice)],
        remove=[image(number) for number in remove],
        embeddings={image(number): embedding(number) for number in numbers},
        encoder_digest=digest if numbers else "",
        remove_verdicts=[image(number) for number in remove_verdicts],
        remove_choices=[(image(number), image(other)) for number, other in remove_choices],
        originals={image(number): original(number) for number in originals},
    )


def tell_one(store: Store, name: str, number: int, request_id: str) -> Written:
    """Tell a store that image `number` is good."""
    return store.write(name, changes(like(number), numbers=[number]), request_id)


def start_teller(address: str | Path, name: str, who: int, count: int = 1_000_000) -> subprocess.Popen[str]:
    """Start a process that likes images `who`, `who` + 1 … and prints each number that was answered."""
    path = os.pathsep.join((str(REPO / "service"), str(REPO / "tests")))
    return subprocess.Popen(
        [sys.executable, "-c", TELLER, str(address), name, str(who), str(count)],
        env=os.environ | {"PYTHONPATH": path},
        stdout=subprocess.PIPE,
        text=True,
    )

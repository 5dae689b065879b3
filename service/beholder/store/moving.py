"""A taste's move to another encoder, as SQL: the same opinions of the same images, all embedded anew."""

from collections.abc import Mapping

import numpy as np

from beholder.errors import InvalidSample
from beholder.store.changes import Written, dims_of
from beholder.store.rows import Rows
from beholder.store.store import Summary
from beholder.types import F32


def move(rows: Rows, taste: Summary, encoder: str, encoder_digest: str, embeddings: Mapping[str, F32]) -> Written:
    """Do it, but for the version, inside the caller's transaction: see `Store`."""
    dims = dims_of(embeddings)
    held = {image for (image,) in rows.all("SELECT image FROM examples WHERE taste_id = ?", taste.id)}
    if missing := held - embeddings.keys():
        raise InvalidSample(
            f"taste {taste.name!r} holds {len(held)} images; {len(missing)} of them have no embedding here,"
            f" such as image {min(missing)}"
        )
    if unknown := embeddings.keys() - held:
        raise InvalidSample(
            f"taste {taste.name!r} holds {len(held)} images; {len(unknown)} of the embeddings are of none of them,"
            f" such as image {min(unknown)}"
        )
    rows.many(
        "UPDATE examples SET embedding = ? WHERE taste_id = ? AND image = ?",
        (
            (np.ascontiguousarray(embedding, "<f4").tobytes(), taste.id, image)
            for image, embedding in sorted(embeddings.items())
        ),
    )
    rows.run(
        "UPDATE tastes SET encoder = ?, encoder_digest = ?, dims = ? WHERE id = ?",
        *(encoder, encoder_digest, dims, taste.id),
    )
    return Written(taste.version + 1)

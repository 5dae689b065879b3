"""What requests to change a taste were answered, so that a repeated one is answered the same and does nothing."""

import hashlib
import json
import time
from typing import Any

from beholder.errors import InvalidSample
from beholder.store.changes import Changes, Written
from beholder.store.opinions import Opinion, Verdict
from beholder.store.rows import Rows, choice_of, key_of, outcome_of, verdict_of

KEPT_REQUESTS = 1000


class Request:
    """One request to change a taste, inside the transaction that answers it.

    Args:
        content: tells what it asks for from everything else that may be asked.
    """

    def __init__(self, rows: Rows, taste_id: str, request_id: str, content: str) -> None:
        self._rows, self._taste_id, self._request_id, self._content = rows, taste_id, request_id, content

    def earlier(self) -> Written | None:
        """Return what the first request of this id was answered.

        Raises:
            InvalidSample: it was for something else.
        """
        found = self._rows.all(
            "SELECT version, content, answer FROM requests WHERE taste_id = ? AND request_id = ?",
            *(self._taste_id, self._request_id),
        )
        for version, content, answer in found:
            if content != self._content:
                raise InvalidSample(
                    f"request_id {self._request_id} made version {version} of something else: choose another",
                    "request_id",
                )
            replaced, removed = json.loads(answer)
            return Written(version, tuple(map(_opinion_of, replaced)), tuple(map(_opinion_of, removed)))
        return None

    def answer(self, written: Written) -> None:
        """Give the taste its new version, and remember what made it."""
        self._rows.run(
            "UPDATE tastes SET version = ?, changed_s = ? WHERE id = ?", written.version, time.time(), self._taste_id
        )
        answer = json.dumps([list(map(_plain, written.replaced)), list(map(_plain, written.removed))])
        self._rows.run(
            "INSERT INTO requests (taste_id, request_id, version, content, answer) VALUES (?, ?, ?, ?, ?)",
            *(self._taste_id, self._request_id, written.version, self._content, answer),
        )
        self._rows.run(
            "DELETE FROM requests WHERE taste_id = ? AND version <= ?",
            *(self._taste_id, written.version - KEPT_REQUESTS),
        )


def content_of_changes(changes: Changes) -> str:
    """Return what tells a write from another; not embeddings and originals, which come of the images that it names."""
    told = [list(map(_plain, changes.verdicts)), list(map(_plain, changes.choices)), sorted(set(changes.remove))]
    if changes.remove_verdicts or changes.remove_choices:  # answers of before there were these are still found
        pairs = {key_of(*pair) for pair in changes.remove_choices}
        told += [sorted(set(changes.remove_verdicts)), sorted(map(list, pairs))]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()


def content_of_move(encoder: str, encoder_digest: str) -> str:
    """Return what tells a move to another encoder from every other request."""
    return hashlib.sha256(json.dumps({"move": [encoder, encoder_digest]}).encode()).hexdigest()


def _plain(opinion: Opinion) -> list[str | float]:
    if isinstance(opinion, Verdict):
        return [opinion.image, float(opinion.value), opinion.source.value]
    return [*key_of(opinion.better, opinion.worse), outcome_of(opinion)]


def _opinion_of(plain: list[Any]) -> Opinion:
    return verdict_of(*plain) if isinstance(plain[1], float) else choice_of(*plain)

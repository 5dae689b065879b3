"""Tastes as the service offers them: told, kept, learned, asked; whoever writes here is heard in the next request.

Every method blocks and may be called by any thread.
"""

import contextlib
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from beholder.errors import BeholderError, InputError, InvalidSample, TasteNotServed
from beholder.scoring.catalog import nearest
from beholder.store.changes import Changes, Written
from beholder.store.opinions import Opinion, Taste
from beholder.store.store import Store, Summary
from beholder.taste.agreement import Comparison, certainty, compare, correlation
from beholder.taste.eye import Eye
from beholder.taste.head import F64, counted_sd
from beholder.taste.learned import Learned
from beholder.taste.learner import LeftOut, leave_one_out
from beholder.taste.questions import Question, suggest
from beholder.taste.scorer import TasteReader
from beholder.taste.telling import Embed, ImageOrId, NewOpinion, hear, see
from beholder.types import F32, EncodedImage

BATCH = 32
"""Images that are embedded together where a taste moves."""


@dataclass(frozen=True, slots=True, eq=False)
class Told:
    """What became of opinions.

    Attributes:
        results: for each opinion the ids of its images, or why it was not taken.
        replaced: opinions that a later one took the place of.
    """

    taste: Summary
    results: Sequence[tuple[str, ...] | InputError]
    replaced: Sequence[Opinion]


@dataclass(frozen=True, slots=True, eq=False)
class Portrait:
    """All about a taste.

    Attributes:
        left_out: how well it predicts what it was told, and `certainty`: the root mean square of `TasteVerdict.sd` over
            images in general, now and before anything was told. None where it can't be asked on this server.
    """

    taste: Summary
    opinions: Sequence[Opinion]
    left_out: LeftOut | None
    certainty: tuple[float, float] | None


class Tastes:
    """The tastes of one store.

    Args:
        learned: the same store's tastes as scorers.
        eyes: the encoders that tastes may use, by name.
        encoder: the one of new tastes that name none.
        keeps_images: whether images are stored as sent, and not their embeddings alone.
    """

    def __init__(
        self, store: Store, learned: Learned, eyes: Mapping[str, Eye], encoder: str, embed: Embed, *, keeps_images: bool
    ) -> None:
        self.learned = learned
        self.eyes = eyes
        self._store, self._encoder = store, encoder
        self._embed, self._keeps_images = embed, keeps_images

    def stop(self) -> None:
        """Let go of the store."""
        self.learned.stop()
        self._store.close()

    def create(self, name: str, encoder: str, request_id: str) -> Summary:
        """Make an empty taste; no encoder means the server's choice."""
        return self._make(name, self._eye(encoder or self._encoder), request_id)

    def tell(
        self,
        name: str,
        opinions: Sequence[NewOpinion | InputError],
        request_id: str,
        expected_version: int = 0,
        *,
        timeout_s: float,
    ) -> Told:
        """Tell a taste more; an opinion that can't be taken is in its own result, and where none can, none is written.

        Raises:
            BeholderError: as `Store.write`; or an image could not be embedded just now, and nothing was written.
        """
        taste = self._store.summary(name)
        heard = hear(
            opinions,
            self._reader(taste).eye,
            self._embed,
            lambda: self._store.get(name).embeddings,
            keeps_images=self._keeps_images,
            timeout_s=timeout_s,
            request_id=request_id,
        )
        if not heard.changes.named:
            return Told(taste, heard.results, ())
        try:
            written = self._write(name, heard.changes, request_id, expected_version)
        except InvalidSample:
            if self._store.summary(name).encoder_digest == taste.encoder_digest:
                raise
            # It moved to another encoder while its images were embedded.
            return self.tell(name, opinions, request_id, expected_version, timeout_s=timeout_s)
        return Told(self._store.summary(name), heard.results, written.replaced)

    def take_back(
        self, name: str, changes: Changes, request_id: str, expected_version: int = 0
    ) -> tuple[Summary, Sequence[Opinion]]:
        """Forget images or choices, by the removals of `changes`; return what was taken back."""
        written = self._write(name, changes, request_id, expected_version)
        return self._store.summary(name), written.removed

    def portrait(self, name: str) -> Portrait:
        """Tell all about a taste."""
        taste, summary = self._store.get(name), self._store.summary(name)
        if (taste.id, taste.encoder_digest) != (summary.id, summary.encoder_digest):
            return self.portrait(name)  # made again, or moved to another encoder, between the two
        opinions = taste.opinions
        summary = replace(
            summary,
            version=taste.version,
            images=len(taste.embeddings),
            verdicts=len(taste.verdicts),
            choices=len(taste.choices),
        )
        if self.not_ready_reason(summary):
            return Portrait(summary, opinions, None, None)
        reader = self._reader(summary)
        left_out = leave_one_out(taste, reader.eye.background, reader.eye.prior)
        after, before = certainty(reader.scorer(taste).head, reader.eye.background)
        return Portrait(summary, opinions, left_out, (counted_sd(after), counted_sd(before)))

    def page(self, after_name: str, limit: int) -> Sequence[Summary]:
        """Return the first `limit` tastes whose names come after `after_name`, by name."""
        return self._store.list(after_name, limit)

    def delete(self, name: str, request_id: str, expected_version: int = 0) -> None:
        """Forget a taste and all that came of it."""
        with self._changing(name):
            self._store.delete(name, request_id, expected_version)

    def suggest(
        self,
        name: str,
        candidates: Sequence[ImageOrId],
        groups: Sequence[str],
        limit: int,
        *,
        timeout_s: float,
        request_id: str,
    ) -> list[Question]:
        """Find the pairs of candidates whose comparison would teach most; groups are one for each candidate, or none.

        Raises:
            InvalidSample: a candidate can't be used.
        """
        scorer = self.learned.scorer(name, "name")
        z = self._projected(candidates, scorer.reader.eye, (name,), timeout_s, request_id)
        return suggest(scorer.head, z, limit, groups)

    def compare(
        self, first: str, second: str, candidates: Sequence[ImageOrId], *, timeout_s: float, request_id: str
    ) -> tuple[float, Comparison]:
        """Tell how far two tastes agree: their correlation on images in general, and what both say of candidates.

        Raises:
            InvalidSample: they were told with different encoders, or a candidate can't be used.
        """
        one, other = self.learned.scorer(first, "first"), self.learned.scorer(second, "second")
        eye = one.reader.eye
        if other.reader.eye is not eye:
            found = f"{first} was told with {eye.name}, {second} with {other.reader.eye.name}"
            raise InvalidSample(f"want two tastes of one encoder; {found}", "second")
        z = self._projected(candidates, eye, (first, second), timeout_s, request_id)
        return correlation(one.head, other.head, eye.background), compare(one.head, other.head, z)

    def export(self, name: str) -> Taste:
        """Return all that is kept of a taste, but for its images."""
        return self._store.get(name)

    def import_(self, name: str, taste: Taste, request_id: str) -> Summary:
        """Make a taste of what another store exported.

        Raises:
            TasteNotServed: it was told with an encoder that is not here.
        """
        eye = self.learned.reader(taste.encoder, taste.encoder_digest).eye
        told = Changes(
            list(taste.verdicts.values()),
            taste.choices,
            embeddings=taste.embeddings,
            encoder_digest=taste.encoder_digest,
        )
        return self._make(name, eye, request_id, told)

    def move(self, name: str, encoder: str, request_id: str, expected_version: int = 0, *, timeout_s: float) -> Summary:
        """Embed a taste anew by another encoder, from the images that are kept.

        Raises:
            InvalidSample: not all of its images are kept.
        """
        eye = self._eye(encoder)
        embeddings = dict(self._embedded_anew(name, eye, timeout_s, request_id))
        held = self._store.summary(name).images
        if len(embeddings) < held:
            found = f"of {held} images that {name!r} holds, {len(embeddings)} were kept"
            raise InvalidSample(f"{found}; a taste can move if BEHOLDER_TASTE_IMAGES=keep was set when they were told")
        with self._changing(name):
            self._store.move(name, eye.name, eye.digest, embeddings, request_id, expected_version)
        return self._store.summary(name)

    def not_ready_reason(self, taste: Summary) -> str:
        """Return why a taste can't be asked here; empty where it can."""
        try:
            self._reader(taste)
        except TasteNotServed as error:
            return error.message
        return ""

    def _make(self, name: str, eye: Eye, request_id: str, told: Changes | None = None) -> Summary:
        with self._changing(name):
            self._store.create(name, eye.name, eye.digest, request_id, told)
        return self._store.summary(name)

    def _write(self, name: str, changes: Changes, request_id: str, expected_version: int) -> Written:
        with self._changing(name):
            return self._store.write(name, changes, request_id, expected_version)

    @contextlib.contextmanager
    def _changing(self, name: str) -> Iterator[None]:
        """Hold while a taste is written to; then nothing in memory is of it as it was."""
        try:
            yield
        finally:
            self.learned.forget(name)  # also where nobody knows whether it was written

    def _reader(self, taste: Summary) -> TasteReader:
        return self.learned.reader(taste.encoder, taste.encoder_digest)

    def _eye(self, encoder: str) -> Eye:
        if encoder not in self.eyes:
            hint = nearest(encoder, self.eyes)
            raise TasteNotServed(
                f"no encoder {encoder!r} that tastes can use here{hint}; an encoder needs to be exported and to have a "
                f"background (`beholder taste background fit`)",
                "encoder",
            )
        return self.eyes[encoder]

    def _projected(
        self, candidates: Sequence[ImageOrId], eye: Eye, names: Sequence[str], timeout_s: float, request_id: str
    ) -> F64:
        def held() -> dict[str, F32]:
            return {image: row for name in names for image, row in self._store.get(name).embeddings.items()}

        seen = see(candidates, eye, self._embed, held, timeout_s, request_id)
        for place, image in enumerate(seen.ids):
            if isinstance(image, InputError):
                raise InvalidSample(image.message, f"candidates[{place}]")
        rows = [seen.embeddings[image] for image in seen.ids if isinstance(image, str)]
        return eye.background.project(np.reshape(rows, (len(rows), eye.background.mean.size)))

    def _embedded_anew(self, name: str, eye: Eye, timeout_s: float, request_id: str) -> Iterator[tuple[str, F32]]:
        originals = self._store.originals(name)
        while batch := list(itertools.islice(originals, BATCH)):
            images = [EncodedImage(data) for _, data in batch]
            answers = self._embed.embed(images, eye.graph, timeout_s, request_id)
            for (image, _), answer in zip(batch, answers, strict=True):
                if isinstance(answer, BeholderError):
                    raise answer
                yield image, answer

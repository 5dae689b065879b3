"""`client.tastes` of an `AsyncClient`: `tastes` with `await`. Files are read in threads, so that the loop goes on."""

import asyncio
import uuid
from collections.abc import AsyncGenerator, Iterable, Sequence
from typing import Protocol, TypeVar

from beholder.client import taste_calls as calls
from beholder.client.calls import Defaults, Terms
from beholder.client.opinions import ImageId, Pairs, Ratings, TasteImages, opinions_of, taste_images_of
from beholder.client.taste_calls import TasteCall
from beholder.client.taste_results import Choice, Comparison, Removed, SuggestedPair, Taste, TasteDetails, Told
from beholder.client.telling import Telling
from beholder.errors import BeholderError

Q = TypeVar("Q")
A = TypeVar("A")
R = TypeVar("R")


class Ask(Protocol):
    """How a call is carried."""

    async def __call__(self, call: TasteCall[Q, A, R], /) -> R:
        """Return the call's result after its retries."""
        ...


class AsyncTastes:
    """Tastes of one server; every method is that of `Tastes`, awaited."""

    def __init__(self, ask: Ask, defaults: Defaults) -> None:
        self._ask, self._defaults = ask, defaults

    async def create(
        self, name: str, encoder: str = "", *, timeout_s: float | None = None, request_id: str = ""
    ) -> Taste:
        """Make an empty taste; see `Tastes.create`."""
        return await self._ask(calls.create_call(name, encoder, self._write(timeout_s, request_id)))

    async def add(
        self,
        name: str,
        *,
        likes: TasteImages = (),
        dislikes: TasteImages = (),
        ratings: Ratings = (),
        scale: tuple[float, float] | None = None,
        choices: Pairs = (),
        ties: Pairs = (),
        expected_version: int = 0,
        timeout_s: float | None = None,
        request_id: str = "",
    ) -> Told:
        """Tell a taste more; see `Tastes.add`."""
        opinions = opinions_of(likes, dislikes, ratings, scale, choices, ties)
        telling = Telling(name, opinions, self._write(timeout_s, request_id).request_id, expected_version)

        def terms(part_id: str) -> Terms:
            return self._defaults.terms(timeout_s, part_id)

        while call := await asyncio.to_thread(telling.next_call, terms):
            try:
                await self._ask(call)
            except BeholderError as error:
                telling.failed(error)
            else:
                telling.took(call)
        return telling.told

    async def remove(
        self,
        name: str,
        image_ids: str | ImageId | Iterable[str | ImageId] = (),
        choices: Iterable[Choice | tuple[str | ImageId, str | ImageId]] = (),
        *,
        expected_version: int = 0,
        timeout_s: float | None = None,
        request_id: str = "",
    ) -> Removed:
        """Take opinions back; see `Tastes.remove`."""
        terms = self._write(timeout_s, request_id)
        return await self._ask(calls.remove_call(name, image_ids, choices, expected_version, terms))

    async def get(self, name: str, *, timeout_s: float | None = None) -> TasteDetails:
        """Return all about a taste; see `Tastes.get`."""
        return await self._ask(calls.get_call(name, self._defaults.terms(timeout_s, "")))

    async def list(self, *, timeout_s: float | None = None) -> AsyncGenerator[Taste]:
        """Yield all tastes by name; see `Tastes.list`."""
        token, is_last = "", False
        while not is_last:
            tastes, token = await self._ask(calls.list_call(token, self._defaults.terms(timeout_s, "")))
            for taste in tastes:
                yield taste
            is_last = not token

    async def delete(
        self, name: str, *, expected_version: int = 0, timeout_s: float | None = None, request_id: str = ""
    ) -> None:
        """Forget a taste and all that came of it."""
        await self._ask(calls.delete_call(name, expected_version, self._write(timeout_s, request_id)))

    async def suggest(
        self,
        name: str,
        candidates: TasteImages,
        groups: Sequence[str] = (),
        limit: int = 1,
        *,
        timeout_s: float | None = None,
    ) -> Sequence[SuggestedPair]:
        """Find the pairs of candidates whose comparison would teach most; see `Tastes.suggest`."""
        images, terms = taste_images_of(candidates), self._defaults.terms(timeout_s, "")
        return await self._ask(await asyncio.to_thread(calls.suggest_call, name, images, groups, limit, terms))

    async def compare(
        self, first: str, second: str, candidates: TasteImages = (), *, timeout_s: float | None = None
    ) -> Comparison:
        """Tell how far two tastes agree; see `Tastes.compare`."""
        images, terms = taste_images_of(candidates), self._defaults.terms(timeout_s, "")
        return await self._ask(await asyncio.to_thread(calls.compare_call, first, second, images, terms))

    async def export(self, name: str, *, timeout_s: float | None = None) -> bytes:
        """Return a taste in the form that `import_` takes; see `Tastes.export`."""
        return await self._ask(calls.export_call(name, self._defaults.terms(timeout_s, "")))

    async def import_(
        self, data: bytes, name: str = "", *, timeout_s: float | None = None, request_id: str = ""
    ) -> Taste:
        """Make a taste of what `export` gave; see `Tastes.import_`."""
        return await self._ask(calls.import_call(data, name, self._write(timeout_s, request_id)))

    async def move(
        self,
        name: str,
        encoder: str,
        *,
        expected_version: int = 0,
        timeout_s: float | None = None,
        request_id: str = "",
    ) -> Taste:
        """Have a taste embedded by another encoder; see `Tastes.move`."""
        return await self._ask(calls.move_call(name, encoder, expected_version, self._write(timeout_s, request_id)))

    def _write(self, timeout_s: float | None, request_id: str) -> Terms:
        return self._defaults.terms(timeout_s, request_id or uuid.uuid4().hex)

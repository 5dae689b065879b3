"""`client.tastes` of a `Client` and of an `Embedded`: the words for tastes; `taste_calls` and `telling` decide."""

import uuid
from collections.abc import Iterable, Iterator, Sequence
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

    def __call__(self, call: TasteCall[Q, A, R], /) -> R:
        """Return the call's result after its retries."""
        ...


class Tastes:
    """Tastes of one server: what somebody likes, which is then asked as scorer `taste/NAME`.

    Every method takes `timeout_s`, the deadline with retries included, where None means the client's own; every one
    that writes takes a `request_id` of 1 to 64 of [A-Za-z0-9._-], by which the server knows a request that is sent
    again and does nothing twice, and makes one where it is empty; and an `expected_version`, where 0 means any.

    Raises:
        ScorerNotExported: the server keeps no tastes, or can't embed images for this one; says what to set.
        ScorerNotFound: there is no such taste.
        VersionConflict: the taste is not of `expected_version`: read it again, then write.
        InvalidSample: a name, a request_id or an image that is none.
        BeholderError: the request as a whole failed.
    """

    def __init__(self, ask: Ask, defaults: Defaults) -> None:
        self._ask, self._defaults = ask, defaults

    def create(self, name: str, encoder: str = "", *, timeout_s: float | None = None, request_id: str = "") -> Taste:
        """Make an empty taste.

        Args:
            name: 1 to 64 of a-z, 0-9, '.', '_' and '-', the first a letter or digit.
            encoder: which embeds its images; empty means the server's choice.

        Raises:
            TasteExists: another request made one of this name.
        """
        return self._ask(calls.create_call(name, encoder, self._write(timeout_s, request_id)))

    def add(
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
        """Tell a taste more; a later opinion on the same image, or the same two, takes the place of the earlier.

        An image that is broken or can't be read is the error of its own opinion and hurts no other.

        More than 256 opinions, or 64 MiB of them, go in several requests, each with `timeout_s`, and are then not one
        transaction: others may write between them, and where one fails, those before it are told and the rest have
        its error. The same call with the same `request_id` does again only what is not done.

        Args:
            likes: one image or many: files as bytes, paths, pixels, PIL images, or an `ImageId`.
            dislikes: as `likes`.
            ratings: image -> number, or (image, number).
            scale: (the worst, the best) that could be given; with ratings alone.
            choices: (the better image, the worse one).
            ties: two images that are as good as each other.
        """
        opinions = opinions_of(likes, dislikes, ratings, scale, choices, ties)
        telling = Telling(name, opinions, self._write(timeout_s, request_id).request_id, expected_version)
        while call := telling.next_call(lambda part_id: self._defaults.terms(timeout_s, part_id)):
            try:
                self._ask(call)
            except BeholderError as error:
                telling.failed(error)
            else:
                telling.took(call)
        return telling.told

    def remove(
        self,
        name: str,
        image_ids: str | ImageId | Iterable[str | ImageId] = (),
        choices: Iterable[Choice | tuple[str | ImageId, str | ImageId]] = (),
        *,
        expected_version: int = 0,
        timeout_s: float | None = None,
        request_id: str = "",
    ) -> Removed:
        """Take opinions back; what is not there is no error.

        Args:
            image_ids: ids of images to forget, with every opinion that names them.
            choices: to forget, by the ids of their two images; the images stay where another opinion names them.
        """
        terms = self._write(timeout_s, request_id)
        return self._ask(calls.remove_call(name, image_ids, choices, expected_version, terms))

    def get(self, name: str, *, timeout_s: float | None = None) -> TasteDetails:
        """Return what a taste was told, how well it predicts that, and how sure it is."""
        return self._ask(calls.get_call(name, self._defaults.terms(timeout_s, "")))

    def list(self, *, timeout_s: float | None = None) -> Iterator[Taste]:
        """Yield all tastes by name, page by page; `timeout_s` is for each page."""
        token, is_last = "", False
        while not is_last:
            tastes, token = self._ask(calls.list_call(token, self._defaults.terms(timeout_s, "")))
            yield from tastes
            is_last = not token

    def delete(
        self, name: str, *, expected_version: int = 0, timeout_s: float | None = None, request_id: str = ""
    ) -> None:
        """Forget a taste and all that came of it."""
        self._ask(calls.delete_call(name, expected_version, self._write(timeout_s, request_id)))

    def suggest(
        self,
        name: str,
        candidates: TasteImages,
        groups: Sequence[str] = (),
        limit: int = 1,
        *,
        timeout_s: float | None = None,
    ) -> Sequence[SuggestedPair]:
        """Find the pairs of candidates whose comparison would teach most, that which teaches most first.

        Args:
            candidates: at least 2, at most what the server takes in one request.
            groups: one for each candidate, or none: those of the same group (of one prompt, say) are paired first.
            limit: how many pairs at most.

        Raises:
            InvalidSample: an image is broken or can't be read.
        """
        terms = self._defaults.terms(timeout_s, "")
        return self._ask(calls.suggest_call(name, taste_images_of(candidates), groups, limit, terms))

    def compare(
        self, first: str, second: str, candidates: TasteImages = (), *, timeout_s: float | None = None
    ) -> Comparison:
        """Tell how far two tastes of one encoder agree, and on which candidates they differ.

        Raises:
            InvalidSample: an image is broken or can't be read.
        """
        terms = self._defaults.terms(timeout_s, "")
        return self._ask(calls.compare_call(first, second, taste_images_of(candidates), terms))

    def export(self, name: str, *, timeout_s: float | None = None) -> bytes:
        """Return a taste in the form that `import_` takes, here or elsewhere: opinions and embeddings, no images."""
        return self._ask(calls.export_call(name, self._defaults.terms(timeout_s, "")))

    def import_(self, data: bytes, name: str = "", *, timeout_s: float | None = None, request_id: str = "") -> Taste:
        """Make a taste of what `export` gave, from an encoder of the same digest.

        Args:
            name: that it shall have here; empty means the one that it had.

        Raises:
            TasteExists: another request made one of this name.
        """
        return self._ask(calls.import_call(data, name, self._write(timeout_s, request_id)))

    def move(
        self,
        name: str,
        encoder: str,
        *,
        expected_version: int = 0,
        timeout_s: float | None = None,
        request_id: str = "",
    ) -> Taste:
        """Have a taste embedded by another encoder, from the images that the server keeps of it."""
        return self._ask(calls.move_call(name, encoder, expected_version, self._write(timeout_s, request_id)))

    def _write(self, timeout_s: float | None, request_id: str) -> Terms:
        return self._defaults.terms(timeout_s, request_id or uuid.uuid4().hex)

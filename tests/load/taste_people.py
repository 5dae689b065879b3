"""People who tell tastes what they like, as a soak test sees them: what each said, and what must be kept of it.

Every taste has a few people. An image belongs to one of them and to one taste, and each says one thing at a time, so
that what a taste holds is known however many of them talk at once; and an image of somebody else shows at once.
"""

import asyncio
import hashlib
import io
import random
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from PIL import Image

from beholder.v1 import samples_pb2, tastes_pb2
from beholder.v1 import taste_service_pb2 as pb

Key = tuple[str, ...]
"""What an opinion is of: an image, or two in order."""
Opinions = dict[Key, str]
"""Key -> what was said of it, as `said` writes it."""
BROKEN = (b"", b"this is no picture", b"\xff\xd8\xff\xe0" + b"\x00" * 100)
ENOUGH = 8
"""Opinions that somebody holds before they take some back."""


def picture(number: int, warm: bool) -> bytes:
    """Return a JPEG of coloured patches, warm or cold."""
    rng = np.random.default_rng(number)
    low, high = ((120, 20, 0), (255, 160, 80)) if warm else ((0, 20, 120), (80, 160, 255))
    small = Image.fromarray(rng.integers(low, high, (6, 6, 3)).astype(np.uint8))
    file = io.BytesIO()
    small.resize((64, 64), Image.Resampling.BICUBIC).save(file, "JPEG", quality=90)
    return file.getvalue()


def id_of(data: bytes) -> str:
    """Return an image's id."""
    return hashlib.sha256(data).hexdigest()


def said(opinion: tastes_pb2.Opinion) -> tuple[Key, str]:
    """Return an opinion as it is kept, as values."""
    if opinion.WhichOneof("opinion") == "verdict":
        return (opinion.verdict.image_id,), f"{tastes_pb2.Source.Name(opinion.verdict.source)} {opinion.verdict.value}"
    better, worse = opinion.choice.better_id, opinion.choice.worse_id
    key = (min(better, worse), max(better, worse))
    return key, "tie" if opinion.choice.is_tie else f"{better} is better"


def all_said(opinions: Iterable[tastes_pb2.Opinion]) -> Opinions:
    """Return opinions as they are kept, as values."""
    return dict(map(said, opinions))


@dataclass(eq=False)
class Taste:
    """A taste as far as everybody knows.

    Attributes:
        warm: what its people like.
        era: how often it was made.
        version: what was acknowledged of this era.
        writes: how many of this era may have changed it, answered or not.
        written: how many of this era did.
        is_settled: no one is deleting it or making it again.
    """

    name: str
    warm: bool
    era: int = 0
    version: int = 0
    writes: int = 0
    written: int = 0
    is_settled: bool = True
    people: list["Person"] = field(default_factory=list)

    @property
    def opinions(self) -> Opinions:
        """All that it was told and acknowledged."""
        return {key: what for person in self.people for key, what in person.opinions.items()}


@dataclass(eq=False)
class Person:
    """One of those who tell a taste.

    Attributes:
        opinions: as acknowledged.
        pending: as they will be once the request under way is answered.
        lock: held from before a request until its answer is known.
    """

    taste: Taste
    opinions: Opinions = field(default_factory=dict)
    pending: Opinions | None = None
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def images(self) -> list[str]:
        """Those that the taste holds because of them."""
        return sorted({image for key in self.opinions for image in key})


@dataclass
class Telling:
    """A request to tell, and what must come of it where all of its images can be used.

    Attributes:
        told: for each opinion what is kept of it; None where it can't be taken.
        may_fail: places of opinions on images that were scored before: the server may have forgotten those.
    """

    request: pb.AddOpinionsRequest
    told: list[tuple[Key, str] | None]
    may_fail: set[int] = field(default_factory=set)

    def after(self, before: Opinions, failed: set[int]) -> tuple[Opinions, list[tuple[Key, str]]]:
        """Return the opinions after it, and those that it replaces in order: first of images, then of two."""
        opinions, replaced = dict(before), []
        taken = [it for place, it in enumerate(self.told) if it and place not in failed]
        for key, what in sorted(taken, key=lambda it: len(it[0])):
            if key in opinions:
                replaced.append((key, opinions[key]))
            opinions[key] = what
        return opinions, replaced


class Sender:
    """Makes requests of one person; `dice` decides all.

    Args:
        number: makes images and request ids that nobody else has.
    """

    def __init__(self, person: Person, number: int, dice: random.Random) -> None:
        self.person, self.dice = person, dice
        self._images = (picture(number * 16 + place, self._is_warm(place)) for place in range(16))
        self._place = 0
        self.request_id = f"r-{number}"

    def telling(self, remembered: bytes | None) -> Telling:
        """Say a few things, some of which can't be taken; `remembered` was scored just now."""
        request = pb.AddOpinionsRequest(name=self.person.taste.name, request_id=self.request_id)
        telling = Telling(request, [])
        if remembered is not None:
            image = id_of(remembered)
            request.opinions.add().like.id = image
            telling.told.append(((image,), "SOURCE_LIKE 1.0"))
            telling.may_fail.add(0)
        for _ in range(self.dice.randint(1, 3)):
            roll = self.dice.random()
            opinion, kept = self._bad() if roll < 0.15 else self._choice() if roll < 0.35 else self._verdict()
            request.opinions.append(opinion)
            telling.told.append(kept)
        return telling

    def taking_back(self) -> tuple[pb.RemoveOpinionsRequest, Opinions, Opinions]:
        """Take something back; return what stays and what goes."""
        request = pb.RemoveOpinionsRequest(name=self.person.taste.name, request_id=self.request_id)
        opinions = self.person.opinions
        choices = [key for key in opinions if len(key) == 2]
        if choices and self.dice.random() < 0.4:
            gone = {self.dice.choice(choices)}
            for better, worse in gone:
                request.choices.add(better_id=better, worse_id=worse)
        else:
            images = set(self.dice.sample(self.person.images, min(3, len(self.person.images))))
            request.image_ids.extend([*images, id_of(b"one that nobody told")])
            gone = {key for key in opinions if images & set(key)}
        removed = {key: opinions[key] for key in gone}
        return request, {key: what for key, what in opinions.items() if key not in gone}, removed

    def _is_warm(self, place: int) -> bool:
        """Images at even places are of the kind that this person likes."""
        return self.person.taste.warm is (place % 2 == 0)

    def _next(self) -> tuple[bytes, bool]:
        """Return a new image, and whether it is liked."""
        self._place += 1
        return next(self._images), self._place % 2 == 1

    def _image(self) -> tuple[tastes_pb2.OpinionImage, str, bool]:
        data, is_liked = self._next()
        return tastes_pb2.OpinionImage(image=samples_pb2.Image(encoded=data)), id_of(data), is_liked

    def _verdict(self) -> tuple[tastes_pb2.NewOpinion, tuple[Key, str]]:
        """Like, dislike or rate a new image; now and then, say the same again of one that the taste holds."""
        verdicts = sorted(key for key in self.person.opinions if len(key) == 1)
        if verdicts and self.dice.random() < 0.25:
            key = self.dice.choice(verdicts)
            is_liked = not self.person.opinions[key].split()[1].startswith("-")
            image = tastes_pb2.OpinionImage(id=key[0])
        else:
            image, name, is_liked = self._image()
            key = (name,)
        if self.dice.random() < 0.3:
            stars = self.dice.choice((4, 5) if is_liked else (1, 2))
            rating = tastes_pb2.NewRating(image=image, value=stars, lowest=1, highest=5)
            return tastes_pb2.NewOpinion(rating=rating), (key, f"SOURCE_RATING {(stars - 1) / 2 - 1}")
        if is_liked:
            return tastes_pb2.NewOpinion(like=image), (key, "SOURCE_LIKE 1.0")
        return tastes_pb2.NewOpinion(dislike=image), (key, "SOURCE_DISLIKE -1.0")

    def _choice(self) -> tuple[tastes_pb2.NewOpinion, tuple[Key, str]]:
        (one, first, is_liked), (other, second, _) = self._image(), self._image()
        better, worse = (one, other) if is_liked else (other, one)
        is_tie = self.dice.random() < 0.1
        choice = tastes_pb2.NewChoice(better=better, worse=worse, is_tie=is_tie)
        best = first if is_liked else second
        key = (min(first, second), max(first, second))
        return tastes_pb2.NewOpinion(choice=choice), (key, "tie" if is_tie else f"{best} is better")

    def _bad(self) -> tuple[tastes_pb2.NewOpinion, None]:
        data = self.dice.choice(BROKEN)
        broken = tastes_pb2.OpinionImage(image=samples_pb2.Image(encoded=data))
        unknown = tastes_pb2.OpinionImage(id=id_of(self.request_id.encode()))
        good, _, _ = self._image()
        return self.dice.choice(
            [
                tastes_pb2.NewOpinion(like=broken),
                tastes_pb2.NewOpinion(dislike=unknown),
                tastes_pb2.NewOpinion(),
                tastes_pb2.NewOpinion(rating=tastes_pb2.NewRating(image=good, value=6, lowest=1, highest=5)),
                tastes_pb2.NewOpinion(choice=tastes_pb2.NewChoice(better=good, worse=good)),
                tastes_pb2.NewOpinion(choice=tastes_pb2.NewChoice(better=good, worse=broken)),
            ]
        ), None

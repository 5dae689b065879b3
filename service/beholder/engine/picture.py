"""The images of a request: each decoded once, and prepared once for each way that a graph wants it."""

import threading
from collections import Counter
from collections.abc import Callable, Sequence

from beholder.clock import Clock
from beholder.errors import InputError, InvalidSample
from beholder.inputs import steps
from beholder.inputs.image import Limits, decode, digest
from beholder.inputs.small import wants_small
from beholder.inputs.steps import Step
from beholder.metrics import Metrics
from beholder.types import U8, EncodedImage, Image, Sample


class Picture:
    """An image that several samples and graphs may share; thread-safe."""

    def __init__(self, image: Image, limits: Limits, clock: Clock, metrics: Metrics) -> None:
        self._image, self._limits = image, limits
        self._clock, self._metrics = clock, metrics
        self._lock = threading.Lock()
        self._pixels: dict[tuple[Step, ...], U8] = {}
        self._broken: InvalidSample | None = None
        self._digest: bytes | None = None
        self._prepared: dict[tuple[Step, ...], U8] = {}

    def digest(self) -> bytes:
        """Return what names the image in the cache."""
        with self._lock:
            if self._digest is None:
                self._digest = digest(self._image)
            return self._digest

    def pixels(self, field: str, wanted: tuple[Step, ...] = ()) -> U8:
        """Return the image, shape (H, W, 3), sRGB: whole, or as small as the first of the steps to come asks for.

        Raises:
            InvalidSample: unreadable or over a limit; names `field`.
        """
        way = wanted if wants_small(wanted) else ()
        with self._lock:
            if self._broken is not None:
                raise InvalidSample(self._broken.message, field)
            if way not in self._pixels:
                started = self._clock()
                try:
                    self._pixels[way] = decode(self._image, self._limits, field, way)
                except InvalidSample as error:
                    self._broken = error
                    raise
                self._metrics.observe_stage("decode", "", self._clock() - started)
            return self._pixels[way]

    def prepared(self, wanted: tuple[Step, ...], field: str) -> U8:
        """Return the image after the steps; not modified by anyone.

        Raises:
            InvalidSample: unreadable, over a limit, or of a shape that a step can't take; names `field`.
        """
        pixels = self.pixels(field, wanted)
        if not wanted:
            return pixels
        with self._lock:
            if wanted not in self._prepared:
                started = self._clock()
                try:
                    self._prepared[wanted] = steps.apply(wanted, pixels)
                except InvalidSample as error:
                    raise InvalidSample(error.message, field) from error
                self._metrics.observe_stage("prepare", "", self._clock() - started)
            return self._prepared[wanted]


class Pictures:
    """The pictures of one request: an image object that it names several times is one picture."""

    def __init__(self, samples: Sequence[Sample | InputError], make: Callable[[Image], Picture]) -> None:
        images = [image for sample in samples if isinstance(sample, Sample) for image in _images(sample).values()]
        times = Counter(map(id, images))
        self._make = make
        self._shared = {id(image): make(image) for image in images if times[id(image)] > 1}

    def of(self, sample: Sample) -> dict[str, Picture]:
        """Return role -> picture."""
        return {role: self._shared.get(id(image)) or self._make(image) for role, image in _images(sample).items()}


def _images(sample: Sample) -> dict[str, Image]:
    roles = {"candidate": sample.candidate, "reference": sample.reference}
    return {role: image for role, image in roles.items() if image is not None}


def size_bytes(image: Image) -> int:
    """Return how many bytes an image brought."""
    return len(image.data) if isinstance(image, EncodedImage) else image.pixels.nbytes

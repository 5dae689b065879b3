"""Requests as bytes, made of parts that are serialised once: sending one costs a join and no protobuf.

A protobuf message is the concatenation of its parts, so samples and scorers are kept apart. An image that the server
must not have seen before carries a number of eight bytes in a place that no decoder looks at; all numbers are equally
long, so no length in the message changes.
"""

import secrets
from dataclasses import dataclass

from beholder.load.mix import Ask, Case, Kind, Mix
from beholder.v1 import samples_pb2, scores_pb2
from beholder.v1 import scoring_service_pb2 as pb

MARK = secrets.token_bytes(8)
"""Stands for the number while parts are made; no file holds it by chance."""
JPEG_START, COMMENT = b"\xff\xd8", b"\xff\xfe"
UNKNOWN_SCORER = "no-such-scorer"
ID, REQUEST, TIMEOUT = b"\x08", b"\x12", b"\x18"
"""Tags of ScoreStreamRequest: id (1, varint), request (2, message), timeout_ms (3, varint)."""


def marked(image: bytes, mark: bytes, role: bytes = b"c") -> bytes:
    """Return the same picture in another file: a comment in a JPEG, bytes after the end of a PNG or WebP.

    Args:
        role: one byte that keeps candidate and reference apart.
    """
    note = role + mark
    if image.startswith(JPEG_START):
        return image[:2] + COMMENT + (len(note) + 2).to_bytes(2, "big") + note + image[2:]
    return image + note


class Requests:
    """Makes the bytes of requests.

    Args:
        salt: 0 to 2^24 - 1, of this run; images of another run's numbers are new again.
    """

    def __init__(self, mix: Mix, salt: int) -> None:
        self._mix, self._salt = mix, salt
        self._tails = [pb.ScoreRequest(scorers=ask.scorers).SerializeToString() for ask in mix.asks]
        self._parts: dict[tuple[int, bool, bool], list[bytes]] = {}

    def score(self, case: Case, number: int) -> bytes:
        """Return a serialised ScoreRequest; `number` is below 2^40 and makes its images new."""
        if case.kind is Kind.BAD:
            return self._bad(case, number)
        ask = self._mix.asks[case.ask]
        samples = self._samples(case, ask, number)
        return samples + self._tails[case.ask]

    def _samples(self, case: Case, ask: Ask, number: int) -> bytes:
        sent = []
        for place, (picture, is_new) in enumerate(case.pictures):
            its = self._salt << 40 | (number * len(case.pictures) + place) % 2**40 if is_new else 0
            sent.append(its.to_bytes(8, "big").join(self._part(picture, ask)))
        return b"".join(sent)

    def _part(self, picture: int, ask: Ask) -> list[bytes]:
        key = picture, ask.needs_reference, ask.needs_prompt
        if key not in self._parts:
            data = self._mix.pictures[picture].data
            sample = samples_pb2.Sample(candidate=samples_pb2.Image(encoded=marked(data, MARK)))
            if ask.needs_reference:
                sample.reference.encoded = marked(data, MARK, b"r")
            if ask.needs_prompt:
                sample.prompt = self._mix.prompt
            self._parts[key] = pb.ScoreRequest(samples=[sample]).SerializeToString().split(MARK)
        return self._parts[key]

    def _bad(self, case: Case, number: int) -> bytes:
        """Return one of `BAD_WAYS`: an image cut in half, an empty one, none at all, or a scorer that nobody has."""
        ask, (picture, _) = self._mix.asks[case.ask], case.pictures[0]
        data = marked(self._mix.pictures[picture].data, number.to_bytes(8, "big"))
        image = (data[: len(data) // 2], b"", b"this is no picture", data)[case.way]
        sample = samples_pb2.Sample(candidate=samples_pb2.Image(encoded=image))
        if ask.needs_reference:
            sample.reference.encoded = data
        if ask.needs_prompt:
            sample.prompt = self._mix.prompt
        scorers = [UNKNOWN_SCORER] if case.way == 3 else ask.scorers
        return pb.ScoreRequest(samples=[sample], scorers=scorers).SerializeToString()


@dataclass(frozen=True, slots=True)
class Answer:
    """What an answer says: OK or the code of its first error, with its message."""

    code: str
    message: str = ""


OK = Answer("OK")


def answer_of(response: pb.ScoreResponse) -> Answer:
    """Read the answer to a request: OK where every sample has every score."""
    for sample in response.samples:
        for result in sample.results:
            if result.HasField("error"):
                return _answer_of_error(result.error, result.scorer)
    return OK


def read_answer(data: bytes) -> Answer:
    """Read a serialised ScoreResponse."""
    return answer_of(pb.ScoreResponse.FromString(data))


def read_stream_answer(data: bytes) -> tuple[int, Answer]:
    """Read a serialised ScoreStreamResponse: the id of the request, and the answer."""
    message = pb.ScoreStreamResponse.FromString(data)
    is_refused = message.HasField("error")
    return message.id, _answer_of_error(message.error) if is_refused else answer_of(message.response)


def stream_message(number: int, request: bytes, timeout_s: float) -> bytes:
    """Return a serialised ScoreStreamRequest."""
    timeout_ms = max(1, round(timeout_s * 1e3))
    return b"".join((ID, _varint(number), REQUEST, _varint(len(request)), request, TIMEOUT, _varint(timeout_ms)))


def _answer_of_error(error: scores_pb2.Error, scorer: str = "") -> Answer:
    code = scores_pb2.ErrorCode.Name(error.code).removeprefix("ERROR_CODE_")
    return Answer(code, f"{scorer}: {error.message}" if scorer else error.message)


def _varint(number: int) -> bytes:
    digits = bytearray()
    while number > 127:
        digits.append(number & 127 | 128)
        number >>= 7
    digits.append(number)
    return bytes(digits)

"""Requests as bytes."""

import pytest

from beholder.inputs.image import Limits, decode
from beholder.inputs.made import FORMATS, encode, made_picture
from beholder.load.mix import Ask, Case, Dealer, Kind, Mix, Picture
from beholder.load.requests import Answer, Requests, marked, read_answer, read_stream_answer, stream_message
from beholder.types import EncodedImage
from beholder.v1 import scores_pb2
from beholder.v1 import scoring_service_pb2 as pb

LIMITS = Limits(2**24, 10**6)
FILES = {format_: encode(made_picture(48, 32, 1), format_) for format_ in FORMATS}
ASKS = (Ask(("psnr", "ssim"), needs_reference=True), Ask(("image-safety",)), Ask(("x",), needs_prompt=True))


def mix_of(**terms: int) -> Mix:
    return Mix(ASKS, tuple(Picture(name, data) for name, data in FILES.items()), prompt="a cat", **terms)  # type: ignore[arg-type]


def case_of(ask: int = 0, pictures: tuple[tuple[int, bool], ...] = ((0, True),), **more: object) -> Case:
    return Case(Kind.GOOD, ask, pictures, 1.0, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize("format_", FORMATS)
def test_a_marked_file_is_another_file_of_the_same_picture(format_: str) -> None:
    plain, new = FILES[format_], marked(FILES[format_], b"12345678")
    assert plain != new
    assert (decode(EncodedImage(plain), LIMITS, "") == decode(EncodedImage(new), LIMITS, "")).all()


@pytest.mark.parametrize("picture", range(len(FORMATS)))
def test_a_request_is_what_protobuf_would_make_of_it(picture: int) -> None:
    data = Requests(mix_of(), salt=7).score(case_of(0, ((picture, True),)), 9)
    request = pb.ScoreRequest.FromString(data)
    (sample,) = request.samples
    number = (7 << 40 | 9).to_bytes(8, "big")
    assert sample.candidate.encoded == marked(list(FILES.values())[picture], number)
    assert sample.reference.encoded == marked(list(FILES.values())[picture], number, b"r")
    assert list(request.scorers) == ["psnr", "ssim"]
    assert not sample.prompt


def test_only_what_is_needed_is_sent() -> None:
    requests = Requests(mix_of(), salt=1)
    alone = pb.ScoreRequest.FromString(requests.score(case_of(1), 1)).samples[0]
    prompted = pb.ScoreRequest.FromString(requests.score(case_of(2), 1)).samples[0]
    assert not alone.HasField("reference")
    assert (alone.prompt, prompted.prompt) == ("", "a cat")


def test_new_images_differ_in_every_sample_and_request_and_repeated_ones_never_do() -> None:
    requests = Requests(mix_of(), salt=1)

    def images(case: Case, numbers: range) -> list[bytes]:
        sent = (pb.ScoreRequest.FromString(requests.score(case, number)) for number in numbers)
        return [sample.candidate.encoded for request in sent for sample in request.samples]

    new = images(case_of(1, ((0, True), (0, True))), range(20))
    assert len(set(new)) == len(new) == 40
    assert len(set(images(case_of(1, ((0, False), (0, False))), range(20)))) == 1


def test_there_are_four_ways_to_be_bad() -> None:
    requests = Requests(mix_of(), salt=1)
    sent = [
        pb.ScoreRequest.FromString(requests.score(Case(Kind.BAD, 1, ((0, True),), 1.0, way=way), 1)) for way in range(4)
    ]
    whole = len(marked(FILES["jpg"], bytes(8)))
    assert [len(request.samples[0].candidate.encoded) for request in sent] == [whole // 2, 0, 18, whole]
    assert [list(request.scorers) for request in sent] == [["image-safety"]] * 3 + [["no-such-scorer"]]


def test_a_message_of_a_stream_is_what_protobuf_would_make_of_it() -> None:
    request = Requests(mix_of(), salt=1).score(case_of(), 1)
    for number in (1, 127, 128, 2**40):
        message = pb.ScoreStreamRequest.FromString(stream_message(number, request, 0.25))
        assert (message.id, message.timeout_ms) == (number, 250)
        assert message.request == pb.ScoreRequest.FromString(request)


def test_an_answer_is_ok_where_every_scorer_scored() -> None:
    good = pb.ScoreResponse()
    good.samples.add().results.add(scorer="psnr").score.value = 1.0
    bad = pb.ScoreResponse.FromString(good.SerializeToString())
    error = bad.samples[0].results.add(scorer="ssim").error
    error.code, error.message = scores_pb2.ERROR_CODE_INVALID_ARGUMENT, "no image"
    assert read_answer(good.SerializeToString()) == Answer("OK")
    assert read_answer(bad.SerializeToString()) == Answer("INVALID_ARGUMENT", "ssim: no image")


def test_an_answer_of_a_stream_has_its_id() -> None:
    good = pb.ScoreStreamResponse(id=5, response=pb.ScoreResponse())
    refused = pb.ScoreStreamResponse(id=6)
    refused.error.code, refused.error.message = scores_pb2.ERROR_CODE_RESOURCE_EXHAUSTED, "full"
    assert read_stream_answer(good.SerializeToString()) == (5, Answer("OK"))
    assert read_stream_answer(refused.SerializeToString()) == (6, Answer("RESOURCE_EXHAUSTED", "full"))


def test_every_dealt_case_becomes_a_request() -> None:
    mix = mix_of(samples=3)
    dealer, requests = Dealer(mix), Requests(mix, salt=3)
    for number in range(20):
        assert len(pb.ScoreRequest.FromString(requests.score(dealer.case(number), number)).samples) == 3

"""The words for tastes: what each sends and gives back; the same for those who wait and those who await."""

import asyncio
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from taste_answers import ANN, added, id_of, opinions

from beholder.client import Certainty, Choice, Comparison, Difference, ImageId, LeftOut, Verdict
from beholder.client.aio_tastes import AsyncTastes
from beholder.client.calls import Defaults
from beholder.client.retry import Retry
from beholder.client.tastes import Tastes
from beholder.errors import InvalidSample
from beholder.v1 import taste_service_pb2 as pb
from beholder.v1 import tastes_pb2

DEFAULTS = Defaults(Retry(0), 10.0, lambda: 0.0)


class Server:
    """Answers every call from a list and remembers what was sent."""

    def __init__(self, *answers: Any) -> None:
        self.answers, self.sent, self.calls = list(answers), list[Any](), list[Any]()

    def ask(self, call: Any) -> Any:
        self.sent.append(call.request)
        self.calls.append(call)
        call.answered(self.answers.pop(0), 0.0)
        return call.result

    async def ask_async(self, call: Any) -> Any:
        return self.ask(call)


def page(next_page: str, *names: str) -> pb.ListTastesResponse:
    return pb.ListTastesResponse(tastes=[tastes_pb2.Taste(name=name) for name in names], next_page_token=next_page)


Use = Callable[..., tuple[Any, Server]]


@pytest.fixture(params=["sync", "async"])
def use(request: pytest.FixtureRequest) -> Use:
    """Return a function that calls a word with what the server answers, and returns its result and the server."""

    def use(word: str, answer: Any, *args: Any, **words: Any) -> tuple[Any, Server]:
        server = Server(*(answer if isinstance(answer, list) else [answer]))
        if request.param == "sync":
            result = getattr(Tastes(server.ask, DEFAULTS), word)(*args, **words)
            return (list(result) if word == "list" else result), server

        async def wait() -> Any:
            result = getattr(AsyncTastes(server.ask_async, DEFAULTS), word)(*args, **words)
            return [taste async for taste in result] if word == "list" else await result

        return asyncio.run(wait()), server

    return use


def test_a_taste_is_made(use: Use) -> None:
    made = Timestamp()
    made.FromDatetime(datetime(2026, 11, 23, 8, 30))
    answer = pb.CreateTasteResponse(taste=ANN)
    answer.taste.created.CopyFrom(made)
    taste, server = use("create", answer, "ann", "eye", request_id="mine")
    assert server.sent == [pb.CreateTasteRequest(name="ann", encoder="eye", request_id="mine")]
    assert (taste.name, taste.version, taste.scorer, taste.ready) == ("ann", 2, "taste/ann", True)
    assert taste.created == datetime(2026, 11, 23, 8, 30, tzinfo=UTC)


def test_every_write_has_a_request_id(use: Use) -> None:
    for word, answer, *args in (
        ("create", pb.CreateTasteResponse(taste=ANN), "ann"),
        ("add", added(), "ann"),
        ("remove", pb.RemoveOpinionsResponse(taste=ANN), "ann"),
        ("delete", pb.DeleteTasteResponse(), "ann"),
        ("import_", pb.ImportTasteResponse(taste=ANN), pb.TasteExport(format=1).SerializeToString()),
        ("move", pb.MoveTasteResponse(taste=ANN), "ann", "eye"),
    ):
        _, server = use(word, answer, *args)
        (request,) = server.sent
        assert re.fullmatch("[0-9a-f]{32}", request.request_id)
        assert server.calls[0].metadata == (("x-request-id", request.request_id),)


def test_a_request_id_that_no_server_takes_is_refused(use: Use) -> None:
    with pytest.raises(InvalidSample, match="request_id: want 1 to 64"):
        use("delete", pb.DeleteTasteResponse(), "ann", request_id="two words")


def test_opinions_are_told(use: Use) -> None:
    told, server = use(
        "add", added(1, 2), "ann", likes=b"one", dislikes=[b"two"], expected_version=4, request_id="mine"
    )
    (request,) = server.sent
    assert (request.name, request.request_id, request.expected_version) == ("ann", "mine", 4)
    assert [message.WhichOneof("opinion") for message in request.opinions] == ["like", "dislike"]
    assert (told.ok, told.taste.version) == (True, 2)
    assert [outcome.image_ids for outcome in told.outcomes] == [(id_of(1),), (id_of(2),)]


def test_many_opinions_are_told_in_several_requests(use: Use) -> None:
    ids = [ImageId(id_of(number)) for number in range(300)]
    told, server = use("add", [added(*range(256)), added(*range(256, 300))], "ann", likes=ids)
    assert [len(request.opinions) for request in server.sent] == [256, 44]
    assert len(told.outcomes) == 300


def test_opinions_are_taken_back_by_id(use: Use) -> None:
    answer = pb.RemoveOpinionsResponse(taste=ANN, removed=opinions((1, 1.0)))
    one, two = ImageId(id_of(1)), id_of(2)
    removed, server = use("remove", answer, "ann", [one, two], [(one, two), Choice(two, one.hex)], expected_version=3)
    (request,) = server.sent
    assert (list(request.image_ids), request.expected_version) == ([one.hex, two], 3)
    assert [(choice.better_id, choice.worse_id) for choice in request.choices] == [(one.hex, two), (two, one.hex)]
    assert removed.removed == (Verdict(one.hex, "like", 1.0),)
    assert list(use("remove", answer, "ann", one)[1].sent[0].image_ids) == [one.hex]
    assert list(use("remove", answer, "ann", two)[1].sent[0].image_ids) == [two]


def test_all_about_a_taste_is_told(use: Use) -> None:
    choice = tastes_pb2.Opinion(choice=tastes_pb2.Choice(better_id=id_of(1), worse_id=id_of(2), is_tie=True))
    answer = pb.GetTasteResponse(taste=ANN, opinions=[*opinions((3, -1.0)), choice])
    details, _ = use("get", answer, "ann")
    assert details.opinions == (Verdict(id_of(3), "dislike", -1.0), Choice(id_of(1), id_of(2), True))
    assert (details.left_out, details.certainty) == (None, None)
    answer.left_out.CopyFrom(tastes_pb2.LeftOut(count=4, right=0.75, log_loss=0.5))
    answer.certainty.CopyFrom(tastes_pb2.Certainty(sd=0.5, prior_sd=2.0))
    details, _ = use("get", answer, "ann")
    assert (details.left_out, details.certainty) == (LeftOut(4, 0.75, 0.5), Certainty(0.5, 2.0))


def test_all_pages_are_listed(use: Use) -> None:
    pages = [page("more", "ann"), page("yet more"), page("", "bob")]
    tastes, server = use("list", pages)
    assert [taste.name for taste in tastes] == ["ann", "bob"]
    assert [request.page_token for request in server.sent] == ["", "more", "yet more"]


def test_a_taste_is_deleted(use: Use) -> None:
    nothing, server = use("delete", pb.DeleteTasteResponse(), "ann", expected_version=4, request_id="mine")
    assert nothing is None
    assert server.sent == [pb.DeleteTasteRequest(name="ann", request_id="mine", expected_version=4)]


def test_pairs_are_suggested(use: Use) -> None:
    answer = pb.SuggestPairsResponse(pairs=[pb.SuggestedPair(first=1, second=0, gain=0.5)])
    pairs, server = use("suggest", answer, "ann", [b"one", ImageId(id_of(2))], ["x", "y"], 3)
    (request,) = server.sent
    assert (request.name, list(request.groups), request.limit) == ("ann", ["x", "y"], 3)
    assert [image.WhichOneof("which") for image in request.candidates] == ["image", "id"]
    assert [(pair.first, pair.second, pair.gain) for pair in pairs] == [(1, 0, 0.5)]


def test_tastes_are_compared(use: Use) -> None:
    answer = pb.CompareTastesResponse(agreement=0.5)
    compared, server = use("compare", answer, "ann", "bob")
    assert compared == Comparison(0.5, None, ())
    assert server.sent == [pb.CompareTastesRequest(first="ann", second="bob")]
    answer = pb.CompareTastesResponse(
        agreement=0.5,
        candidate_agreement=0.0,
        differences=[pb.Difference(index=1, first_p_like=0.25, second_p_like=0.75)],
    )
    compared, _ = use("compare", answer, "ann", "bob", [b"one", b"two"])
    assert compared == Comparison(0.5, 0.0, (Difference(1, 0.25, 0.75),))


@pytest.mark.parametrize("word", ["suggest", "compare"])
def test_a_candidate_that_cannot_be_read_is_told_with_its_place(use: Use, word: str) -> None:
    names = ("ann", "bob")[: 1 if word == "suggest" else 2]
    with pytest.raises(InvalidSample, match="can't read /nowhere") as caught:
        use(word, None, *names, [b"one", "/nowhere"])
    assert caught.value.field == "candidates[1]"


def test_what_is_exported_can_be_imported(use: Use) -> None:
    exported = pb.TasteExport(format=1, name="ann", images=[pb.EmbeddedImage(id=id_of(1), embedding=b"1234")])
    data, _ = use("export", pb.ExportTasteResponse(taste=exported), "ann")
    assert isinstance(data, bytes)
    _, server = use("import_", pb.ImportTasteResponse(taste=ANN), data, "bob", request_id="mine")
    assert server.sent == [pb.ImportTasteRequest(name="bob", taste=exported, request_id="mine")]


@pytest.mark.parametrize("data", [b"", b"\xff\xfe", b"PK\x03\x04 a zip"])
def test_what_is_no_export_is_told(use: Use, data: bytes) -> None:
    with pytest.raises(InvalidSample, match="not what an export of a taste gave"):
        use("import_", None, data)


def test_a_taste_is_moved(use: Use) -> None:
    taste, server = use("move", pb.MoveTasteResponse(taste=ANN), "ann", "eye", expected_version=1, request_id="mine")
    assert server.sent == [pb.MoveTasteRequest(name="ann", encoder="eye", request_id="mine", expected_version=1)]
    assert taste.encoder == "eye"

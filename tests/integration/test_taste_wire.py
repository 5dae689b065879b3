"""Tastes as any gRPC client meets them: a real encoder, a real store, several replicas, hostile input."""

import io
import re
import sqlite3
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from google.rpc.error_details_pb2 import ErrorInfo
from grpc_status import rpc_status
from PIL import Image

import server_process
from beholder.v1 import samples_pb2, scorer_service_pb2, scorers_pb2, tastes_pb2
from beholder.v1 import scoring_service_pb2 as scoring
from beholder.v1 import taste_service_pb2 as pb
from beholder.v1.scorer_service_pb2_grpc import ScorerServiceStub
from beholder.v1.scoring_service_pb2_grpc import ScoringServiceStub
from beholder.v1.taste_service_pb2_grpc import TasteServiceStub
from postgres_server import PostgresServer
from server_process import ServerProcess, StartServer

TIMEOUT_S = 60.0
SCORERS = ("content-labels", "sharpness")


class Caller:
    """A client of one server that makes up its request ids."""

    def __init__(self, server: ServerProcess) -> None:
        self.channel = grpc.insecure_channel(server.address)
        self.tastes, self.scoring = TasteServiceStub(self.channel), ScoringServiceStub(self.channel)
        self._number = 0

    def id(self) -> str:
        self._number += 1
        return f"{id(self)}-{self._number}"

    def new(self, name: str, likes: list[bytes] = [], dislikes: list[bytes] = []) -> tastes_pb2.Taste:  # noqa: B006
        taste = self.tastes.CreateTaste(pb.CreateTasteRequest(name=name, request_id=self.id()), timeout=TIMEOUT_S).taste
        return self.tell(name, likes, dislikes).taste if likes or dislikes else taste

    def tell(self, name: str, likes: list[bytes] = [], dislikes: list[bytes] = []) -> pb.AddOpinionsResponse:  # noqa: B006
        told = [tastes_pb2.NewOpinion(like=image(data)) for data in likes]
        told += [tastes_pb2.NewOpinion(dislike=image(data)) for data in dislikes]
        return self.add(name, told)

    def add(self, name: str, opinions: list[tastes_pb2.NewOpinion], **more: Any) -> pb.AddOpinionsResponse:
        more = {"request_id": self.id()} | more
        return self.tastes.AddOpinions(pb.AddOpinionsRequest(name=name, opinions=opinions, **more), timeout=TIMEOUT_S)

    def ask(self, scorers: list[str], *images: bytes) -> scoring.ScoreResponse:
        samples = [samples_pb2.Sample(candidate=samples_pb2.Image(encoded=data)) for data in images]
        return self.scoring.Score(scoring.ScoreRequest(samples=samples, scorers=scorers), timeout=TIMEOUT_S)

    def p_like(self, name: str, data: bytes) -> float:
        return self.ask([f"taste/{name}"], data).samples[0].results[0].score.value

    def p_like_or_none(self, name: str, data: bytes) -> float | None:
        try:
            return self.p_like(name, data)
        except grpc.RpcError:
            return None


def picture(number: int, warm: bool) -> bytes:
    """Return a JPEG of coloured patches, warm or cold."""
    rng = np.random.default_rng(number)
    low, high = ((120, 20, 0), (255, 160, 80)) if warm else ((0, 20, 120), (80, 160, 255))
    small = rng.integers(low, high, (6, 6, 3)).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(small).resize((96, 96), Image.Resampling.BICUBIC).save(file, "JPEG", quality=92)
    return file.getvalue()


WARM = [picture(number, warm=True) for number in range(12)]
COLD = [picture(number, warm=False) for number in range(12)]


def image(data: bytes) -> tastes_pb2.OpinionImage:
    return tastes_pb2.OpinionImage(image=samples_pb2.Image(encoded=data))


def failure(call: Any, request: Any) -> tuple[grpc.StatusCode, str, str]:
    """Return code, class and text of a call that fails."""
    with pytest.raises(grpc.RpcError) as caught:
        call(request, timeout=TIMEOUT_S)
    status = rpc_status.from_call(caught.value)
    assert status is not None
    info = ErrorInfo()
    assert any(detail.Unpack(info) for detail in status.details)
    return caught.value.code(), info.reason, caught.value.details()


@pytest.fixture(scope="module")
def served(start_server: StartServer, tmp_path_factory: pytest.TempPathFactory) -> ServerProcess:
    store = tmp_path_factory.mktemp("tastes") / "tastes.db"
    return start_server(scorers=SCORERS, taste_store=store, max_samples=16, max_taste_images=20, taste_images="keep")


@pytest.fixture(scope="module")
def caller(served: ServerProcess) -> Iterator[Caller]:
    caller = Caller(served)
    with caller.channel:
        yield caller


def test_a_taste_is_a_scorer_like_any_other(caller: Caller) -> None:
    caller.new("ann", WARM[:3], COLD[:3])
    good, bad = caller.ask(["sharpness", "taste/ann", "content-labels"], WARM[8], COLD[8]).samples
    assert [result.scorer for result in good.results] == ["sharpness", "taste/ann", "content-labels"]
    assert good.results[1].score.value > 0.5 > bad.results[1].score.value
    verdict = good.results[1].score.taste
    assert verdict.version == 2
    assert 0 <= verdict.percentile <= 100
    assert verdict.sd > 0
    assert verdict.unsure is bool(verdict.why_unsure)
    assert re.fullmatch("[0-9a-f]{64}", good.image_id)
    assert not caller.ask(["sharpness"], WARM[8]).samples[0].image_id, "nobody needs it there"


def test_candidates_are_ranked_by_a_taste_alone_and_weighted(caller: Caller) -> None:
    caller.new("ranker", WARM[:3], COLD[:3])
    candidates = [samples_pb2.Image(encoded=data) for data in (COLD[5], WARM[5], COLD[6], WARM[6])]

    def rank(**weights: float) -> list[int]:
        scorers = [
            scoring.WeightedScorer(scorer=name.replace("__", "/"), weight=weight) for name, weight in weights.items()
        ]
        request = scoring.RankRequest(candidates=candidates, scorers=scorers)
        response = caller.scoring.Rank(request, timeout=TIMEOUT_S)
        assert all(bool(place.image_id) is ("taste__ranker" in weights) for place in response.ranking)
        return [place.index for place in response.ranking]

    assert set(rank(taste__ranker=1)[:2]) == {1, 3}
    assert rank(taste__ranker=1, sharpness=1e-6) == rank(taste__ranker=1)
    assert rank(taste__ranker=1e-6, sharpness=1) == rank(sharpness=1)


def test_a_stream_asks_different_tastes_in_one_batch(caller: Caller) -> None:
    caller.new("s1", WARM[:2], COLD[:2])
    caller.new("s2", COLD[:2], WARM[:2])

    def requests() -> Iterator[scoring.ScoreStreamRequest]:
        for number in range(20):
            sample = samples_pb2.Sample(candidate=samples_pb2.Image(encoded=WARM[5 + number % 4]))
            request = scoring.ScoreRequest(samples=[sample], scorers=[f"taste/s{1 + number % 2}"])
            yield scoring.ScoreStreamRequest(id=number, request=request)

    answers = {answer.id: answer.response for answer in caller.scoring.ScoreStream(requests(), timeout=TIMEOUT_S)}
    values = [answers[number].samples[0].results[0].score.value for number in range(20)]
    assert min(values[0::2]) > 0.5 > max(values[1::2])


def test_an_image_that_was_scored_is_named_by_its_id(caller: Caller) -> None:
    caller.new("by-id")
    image_id = caller.ask(["taste/by-id"], WARM[0]).samples[0].image_id
    opinion = tastes_pb2.NewOpinion(like=tastes_pb2.OpinionImage(id=image_id))
    answer = caller.add("by-id", [opinion])
    assert list(answer.results[0].image_ids) == [image_id]
    assert answer.taste.images == 1


def test_get_list_and_delete(caller: Caller) -> None:
    caller.new("get", WARM[:2], COLD[:2])
    found = caller.tastes.GetTaste(pb.GetTasteRequest(name="get"))
    assert (found.taste.verdicts, len(found.opinions), found.left_out.count) == (4, 4, 4)
    assert 0 < found.certainty.sd < found.certainty.prior_sd
    assert abs(found.taste.changed.ToSeconds() - time.time()) < 3600
    names, token = [], ""
    while True:
        page = caller.tastes.ListTastes(pb.ListTastesRequest(page_size=2, page_token=token))
        names += [taste.name for taste in page.tastes]
        token = page.next_page_token
        if not token:
            break
    assert names == sorted(names)
    assert "get" in names
    caller.tastes.DeleteTaste(pb.DeleteTasteRequest(name="get", request_id=caller.id()))
    code, reason, _ = failure(caller.tastes.GetTaste, pb.GetTasteRequest(name="get"))
    assert (code, reason) == (grpc.StatusCode.NOT_FOUND, "TasteNotFound")


def test_suggest_compare_export_import_and_move(caller: Caller) -> None:
    caller.new("one", WARM[:3], COLD[:3])
    caller.new("two", COLD[:3], WARM[:3])
    candidates = [image(data) for data in (WARM[5], WARM[6], COLD[5], COLD[6])]
    groups = ["a", "b", "a", "b"]
    request = pb.SuggestPairsRequest(name="one", candidates=candidates, groups=groups, limit=2)
    pairs = caller.tastes.SuggestPairs(request).pairs
    assert {(pair.first % 2, pair.second % 2) for pair in pairs} == {(0, 0), (1, 1)}
    compared = caller.tastes.CompareTastes(pb.CompareTastesRequest(first="one", second="two", candidates=candidates))
    assert compared.agreement < 0
    assert compared.candidate_agreement < 0
    assert sorted(difference.index for difference in compared.differences) == [0, 1, 2, 3]
    export = caller.tastes.ExportTaste(pb.ExportTasteRequest(name="one")).taste
    again = pb.ImportTasteRequest(name="copy", taste=export, request_id="import")
    for _ in range(2):
        assert caller.tastes.ImportTaste(again).taste.images == 6
    assert caller.p_like("copy", WARM[7]) == caller.p_like("one", WARM[7])
    moved = caller.tastes.MoveTaste(pb.MoveTasteRequest(name="one", encoder=export.encoder, request_id=caller.id()))
    assert moved.taste.images == 6


def test_get_scorer_describes_a_taste(caller: Caller) -> None:
    caller.new("described")
    stub = ScorerServiceStub(caller.channel)
    found = stub.GetScorer(scorer_service_pb2.GetScorerRequest(name="taste/described")).scorer
    assert (found.kind, found.ready, found.range_max) == (scorers_pb2.KIND_TASTE, True, 1.0)
    code, _, text = failure(stub.GetScorer, scorer_service_pb2.GetScorerRequest(name="taste/nobody"))
    assert (code, text) == (grpc.StatusCode.NOT_FOUND, "name: there is no taste 'nobody'")


@pytest.mark.parametrize("name", ["", "Ann", "a b", "../a", "a" * 65, "a\n", "a\x00", "é", "'; DROP TABLE tastes; --"])
def test_names_that_are_none_are_refused_everywhere(caller: Caller, name: str) -> None:
    code, _, text = failure(caller.tastes.CreateTaste, pb.CreateTasteRequest(name=name, request_id="x"))
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert "a taste's name is" in text
    sample = samples_pb2.Sample(candidate=samples_pb2.Image(encoded=WARM[0]))
    request = scoring.ScoreRequest(samples=[sample], scorers=[f"taste/{name}"])
    assert failure(caller.scoring.Score, request)[0] is grpc.StatusCode.INVALID_ARGUMENT


def test_bad_requests_are_told_what_is_wrong(caller: Caller) -> None:
    caller.new("strict", WARM[:1])
    like = [tastes_pb2.NewOpinion(like=image(WARM[1]))]
    invalid = grpc.StatusCode.INVALID_ARGUMENT
    for request, code, text in (
        (pb.AddOpinionsRequest(name="strict", opinions=like), invalid, "a request_id is 1 to 64"),
        (pb.AddOpinionsRequest(name="strict", request_id="r"), invalid, "want 1 to 16 opinions in one request, got 0"),
        (pb.AddOpinionsRequest(name="strict", request_id="r", opinions=like * 17), invalid, "got 17"),
        (pb.AddOpinionsRequest(name="nobody", request_id="r", opinions=like), grpc.StatusCode.NOT_FOUND, "'nobody'"),
        (
            pb.AddOpinionsRequest(name="strict", request_id="r", opinions=like, expected_version=1),
            grpc.StatusCode.ABORTED,
            "version",
        ),
    ):
        found, _, said = failure(caller.tastes.AddOpinions, request)
        assert found is code
        assert text in said
    taken = pb.CreateTasteRequest(name="strict", request_id="another")
    assert failure(caller.tastes.CreateTaste, taken)[0] is grpc.StatusCode.ALREADY_EXISTS
    one = pb.SuggestPairsRequest(name="strict", candidates=[image(WARM[0])])
    assert "want 2 to 16 candidates in one request, got 1" in failure(caller.tastes.SuggestPairs, one)[2]
    other = pb.CreateTasteRequest(name="ear", encoder="ear", request_id="ear")
    assert "no encoder 'ear'" in failure(caller.tastes.CreateTaste, other)[2]
    assert "format 1" in failure(caller.tastes.ImportTaste, pb.ImportTasteRequest(request_id="i"))[2]


def test_opinions_that_are_none_fail_alone(caller: Caller) -> None:
    caller.new("alone")
    rating = tastes_pb2.NewRating(image=image(WARM[1]), value=9, lowest=1, highest=5)
    same = tastes_pb2.NewChoice(better=image(WARM[2]), worse=image(WARM[2]))
    answer = caller.add(
        "alone",
        [
            tastes_pb2.NewOpinion(like=image(WARM[0])),
            tastes_pb2.NewOpinion(),
            tastes_pb2.NewOpinion(like=image(b"no image")),
            tastes_pb2.NewOpinion(rating=rating),
            tastes_pb2.NewOpinion(choice=same),
            tastes_pb2.NewOpinion(dislike=tastes_pb2.OpinionImage()),
        ],
    )
    assert [result.error.field for result in answer.results] == [
        "",
        "opinions[1]",
        "opinions[2]",
        "opinions[3].rating",
        "opinions[4].choice",
        "opinions[5].dislike",
    ]
    assert (answer.taste.images, answer.taste.version) == (1, 2)


def test_a_taste_holds_no_more_than_it_may(caller: Caller) -> None:
    caller.new("full", WARM[:8], COLD[:8])
    many = [tastes_pb2.NewOpinion(like=image(data)) for data in (*WARM[8:], *COLD[8:])]
    code, reason, text = failure(
        caller.tastes.AddOpinions, pb.AddOpinionsRequest(name="full", opinions=many, request_id="r")
    )
    assert (code, reason) == (grpc.StatusCode.INVALID_ARGUMENT, "TasteFull")
    assert "20 images" in text
    assert caller.tastes.GetTaste(pb.GetTasteRequest(name="full")).taste.images == 16


def test_tastes_share_one_name_in_metrics(caller: Caller, served: ServerProcess) -> None:
    caller.new("counted", WARM[:1])
    caller.p_like("counted", WARM[2])
    with urllib.request.urlopen(f"http://{served.metrics_address}/metrics") as page:
        text = page.read().decode()
    assert 'beholder_results_total{code="OK",scorer="taste"}' in text
    assert "counted" not in text
    assert re.search(r"beholder_tastes_in_memory [1-9]", text)
    assert 'beholder_stage_duration_seconds_count{graph="' in text


def test_without_a_store_every_call_says_what_to_set(start_server: StartServer) -> None:
    caller = Caller(start_server(scorers=("sharpness",)))
    with caller.channel:
        for call, request in (
            (caller.tastes.CreateTaste, pb.CreateTasteRequest(name="ann", request_id="r")),
            (caller.tastes.ListTastes, pb.ListTastesRequest()),
            (caller.scoring.Score, scoring.ScoreRequest(scorers=["taste/ann"])),
        ):
            code, reason, text = failure(call, request)
            assert (code, reason) == (grpc.StatusCode.FAILED_PRECONDITION, "TasteNotServed")
            assert "BEHOLDER_TASTE_STORE" in text


def test_replicas_on_one_postgres_hear_of_each_other(start_server: StartServer, postgres: PostgresServer) -> None:
    address = postgres.empty_database()
    here, there = (Caller(start_server(scorers=("content-labels",), taste_store=address)) for _ in range(2))
    with here.channel, there.channel:
        here.new("ann", WARM[:2], COLD[:2])
        assert there.p_like("ann", WARM[5]) > 0.5
        here.tell("ann", COLD[2:10], WARM[:10])
        told = time.monotonic()
        while there.p_like("ann", WARM[5]) > 0.5:
            assert time.monotonic() < told + TIMEOUT_S
        here.tastes.DeleteTaste(pb.DeleteTasteRequest(name="ann", request_id="d"))
        asked = scoring.ScoreRequest(
            samples=[samples_pb2.Sample(candidate=samples_pb2.Image(encoded=WARM[5]))], scorers=["taste/ann"]
        )
        while there.p_like_or_none("ann", WARM[5]) is not None:
            assert time.monotonic() < told + TIMEOUT_S
        assert failure(there.scoring.Score, asked)[1] == "TasteNotFound"


def test_what_was_told_is_there_after_a_restart(start_server: StartServer, tmp_path: Path) -> None:
    settings = {"scorers": ("content-labels",), "taste_store": tmp_path / "tastes.db"}
    first = start_server(**settings)
    before = Caller(first)
    with before.channel:
        before.new("ann", WARM[:2], COLD[:2])
        said = before.p_like("ann", WARM[5])
    assert first.stop() == 0
    after = Caller(start_server(**settings))
    with after.channel:
        assert after.p_like("ann", WARM[5]) == said


def test_a_store_that_can_not_be_opened_stops_the_start(tmp_path: Path) -> None:
    broken, newer = tmp_path / "broken.db", tmp_path / "newer.db"
    broken.write_bytes(b"SQLite format 3\x00" + b"\xff" * 4096)
    with sqlite3.connect(newer) as connection:
        connection.execute("PRAGMA application_id = 0x6265686F")
        connection.execute("PRAGMA user_version = 99")
    for path, text in ((broken, "is damaged"), (newer, "99"), (tmp_path, "")):
        with pytest.raises(RuntimeError, match="exit code 2") as caught:
            server_process.start(scorers=["sharpness"], taste_store=path)
        assert text in str(caught.value)


def test_a_locked_store_fails_writes_and_hurts_no_score(start_server: StartServer, tmp_path: Path) -> None:
    path = tmp_path / "tastes.db"
    caller = Caller(start_server(scorers=("content-labels",), taste_store=path))
    with caller.channel:
        caller.new("ann", WARM[:2], COLD[:2])
        with sqlite3.connect(path, isolation_level=None) as other:
            other.execute("BEGIN EXCLUSIVE")
            told = pb.AddOpinionsRequest(
                name="ann", request_id="r", opinions=[tastes_pb2.NewOpinion(like=image(WARM[3]))]
            )
            code, reason, text = failure(caller.tastes.AddOpinions, told)
            assert (code, reason) == (grpc.StatusCode.UNAVAILABLE, "StoreUnavailable")
            assert "is locked by another process" in text
            assert len(caller.ask(["content-labels"], WARM[0]).samples) == 1
            other.execute("ROLLBACK")
        assert caller.tastes.AddOpinions(told, timeout=TIMEOUT_S).taste.version == 3

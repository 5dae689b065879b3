"""The wire as any gRPC client sees it: answers, rich errors, streams, health, reflection, metrics."""

import contextlib
import io
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import grpc
import numpy as np
import pytest
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from grpc_status import rpc_status
from PIL import Image

from beholder.v1 import samples_pb2, scorer_service_pb2, scorers_pb2, scores_pb2
from beholder.v1 import scoring_service_pb2 as pb
from beholder.v1.scorer_service_pb2_grpc import ScorerServiceStub
from beholder.v1.scoring_service_pb2_grpc import ScoringServiceStub
from server_process import REPO, ServerProcess, StartServer, environment

OURS = ("psnr", "ssim")
TIMEOUT_S = 60.0
PATIENCE_S = 15.0
"""Longer than a process takes to end that does not wait for anything."""


def png(level: int, width: int = 64, height: int = 48) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), (level, 90, 200)).save(buffer, "PNG")
    return buffer.getvalue()


def noise(seed: int) -> bytes:
    """Return a small JPEG whose map against another is large."""
    buffer = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 256, (400, 400, 3), np.uint8)
    Image.fromarray(pixels).save(buffer, "JPEG", quality=15)
    return buffer.getvalue()


def encoded(data: bytes) -> samples_pb2.Image:
    return samples_pb2.Image(encoded=data)


def pair(candidate: bytes, reference: bytes) -> samples_pb2.Sample:
    return samples_pb2.Sample(candidate=encoded(candidate), reference=encoded(reference))


def details(error: grpc.RpcError) -> dict[str, object]:
    """Return a failed call's rich details by type name."""
    status = rpc_status.from_call(error)
    assert status is not None
    found: dict[str, object] = {}
    for packed in status.details:
        for kind in (BadRequest, ErrorInfo, RetryInfo):
            if packed.Is(kind.DESCRIPTOR):
                message = kind()
                packed.Unpack(message)
                found[kind.DESCRIPTOR.name] = message
    return found


@pytest.fixture(scope="module")
def ours(start_server: StartServer) -> ServerProcess:
    """Serve the committed graphs alone."""
    return start_server(scorers=OURS, max_samples=16, max_image_mpx=1.0, max_image_mb=0.5)


@pytest.fixture(scope="module")
def channel(ours: ServerProcess) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(ours.address) as channel:
        yield channel


@pytest.fixture(scope="module")
def scoring(channel: grpc.Channel) -> ScoringServiceStub:
    return ScoringServiceStub(channel)


def score(scoring: ScoringServiceStub, samples: list[samples_pb2.Sample], *names: str) -> pb.ScoreResponse:
    return scoring.Score(pb.ScoreRequest(samples=samples, scorers=names), timeout=TIMEOUT_S)


def fails(scoring: ScoringServiceStub, request: pb.ScoreRequest, code: grpc.StatusCode) -> grpc.RpcError:
    with pytest.raises(grpc.RpcError) as caught:
        scoring.Score(request, timeout=TIMEOUT_S)
    assert caught.value.code() is code, caught.value.details()
    return caught.value


def only_error(response: pb.ScoreResponse) -> scores_pb2.Error:
    (sample,) = response.samples
    (result,) = sample.results
    assert result.HasField("error"), result
    return result.error


def test_many_samples_and_scorers_are_answered_in_the_order_asked(scoring: ScoringServiceStub) -> None:
    response = score(scoring, [pair(png(9), png(9)), pair(png(0), png(9))], "ssim", "psnr")
    assert [[result.scorer for result in sample.results] for sample in response.samples] == [["ssim", "psnr"]] * 2
    same, other = response.samples
    assert same.results[0].score.value == pytest.approx(1.0, abs=1e-6)
    assert other.results[1].score.value < same.results[1].score.value


def test_raw_pixels_score_like_the_same_image_encoded(scoring: ScoringServiceStub) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (40, 30, 3), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    raw = samples_pb2.Image(raw=samples_pb2.RawImage(width_px=30, height_px=40, rgb=pixels.tobytes()))
    reference = encoded(png(50, 30, 40))
    one = samples_pb2.Sample(candidate=raw, reference=reference)
    two = samples_pb2.Sample(candidate=encoded(buffer.getvalue()), reference=reference)
    first, second = score(scoring, [one, two], "psnr").samples
    assert first.results[0].score.value == second.results[0].score.value


def test_a_score_brings_a_map_of_the_images_size_only_where_one_is_asked_for(scoring: ScoringServiceStub) -> None:
    one_side = np.zeros((48, 64, 3), np.uint8)
    one_side[:, 40:] = 200
    black, lit = (
        samples_pb2.Image(raw=samples_pb2.RawImage(width_px=64, height_px=48, rgb=pixels.tobytes()))
        for pixels in (np.zeros_like(one_side), one_side)
    )
    samples = [samples_pb2.Sample(candidate=lit, reference=black), pair(png(9), png(9))]
    plain = scoring.Score(pb.ScoreRequest(samples=samples, scorers=["ssim"]), timeout=TIMEOUT_S)
    explained = scoring.Score(
        pb.ScoreRequest(samples=samples, scorers=["ssim", "psnr"], explain=True), timeout=TIMEOUT_S
    )
    assert not any(sample.results[0].score.HasField("map") for sample in plain.samples)
    differs, same = explained.samples
    assert differs.results[0].score.value == pytest.approx(plain.samples[0].results[0].score.value, abs=1e-6)
    assert not differs.results[1].score.HasField("map"), "psnr draws none"
    drawn = np.asarray(Image.open(io.BytesIO(differs.results[0].score.map.png)))
    assert drawn.shape == (48, 64)
    assert drawn[:, :34].max() == 0
    assert drawn[:, 46:].min() > 128
    assert differs.results[0].score.map.high == 1.0
    assert differs.results[0].score.map.meaning
    assert not np.asarray(Image.open(io.BytesIO(same.results[0].score.map.png))).any()


def test_maps_that_do_not_fit_into_an_answer_are_refused_with_the_limit(start_server: StartServer) -> None:
    one_mb = start_server(scorers=["ssim"], max_message_mb=1)
    samples = [pair(noise(seed), noise(0)) for seed in range(1, 13)]
    with grpc.insecure_channel(one_mb.address) as channel:
        scoring = ScoringServiceStub(channel)
        few = scoring.Score(pb.ScoreRequest(samples=samples[:3], scorers=["ssim"], explain=True), timeout=TIMEOUT_S)
        assert sum(len(sample.results[0].score.map.png) for sample in few.samples) > 2**18
        error = fails(
            scoring,
            pb.ScoreRequest(samples=samples, scorers=["ssim"], explain=True),
            grpc.StatusCode.INVALID_ARGUMENT,
        )
        assert "want an answer of at most 1 MiB, got 1." in str(error.details())
        assert details(error)["BadRequest"].field_violations[0].field == "samples"
        assert len(score(scoring, samples, "ssim").samples) == len(samples)


def test_panels_are_listed(channel: grpc.Channel) -> None:
    listed = ScorerServiceStub(channel).ListScorers(scorer_service_pb2.ListScorersRequest())
    assert "fidelity" in [panel.name for panel in listed.panels]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "empty"),
        (b"GIF89a" + bytes(50), "JPEG, PNG"),
        (png(1)[:100], "cut off"),
        (png(1, 1001, 1000), "the limit is 1"),
        (bytes(600_000), "the limit is"),
        (b"\xff\xd8\xff\xe0" + bytes(64), "JPEG"),
    ],
    ids=["empty", "unsupported", "truncated", "too many pixels", "too many bytes", "lying"],
)
def test_a_bad_image_is_told_in_its_own_result_and_hurts_no_other(
    scoring: ScoringServiceStub, data: bytes, words: str
) -> None:
    bad, good = score(scoring, [pair(data, png(9)), pair(png(9), png(9))], "psnr").samples
    error = bad.results[0].error
    assert error.code == scores_pb2.ERROR_CODE_INVALID_ARGUMENT
    assert error.field == "samples[0].candidate"
    assert words in error.message
    assert good.results[0].HasField("score")


def test_a_small_file_of_huge_pixels_is_refused_before_it_is_decoded(scoring: ScoringServiceStub) -> None:
    bomb = png(0, 9000, 9000)
    assert len(bomb) < 500_000
    error = only_error(score(scoring, [pair(bomb, png(9))], "psnr"))
    assert "9000x9000" in error.message
    assert "81" in error.message


@pytest.mark.parametrize(
    ("sample", "field"),
    [
        (samples_pb2.Sample(candidate=encoded(png(1))), "samples[0].reference"),
        (samples_pb2.Sample(), "samples[0].candidate"),
        (pair(png(1), png(1, 32, 32)), "samples[0].reference"),
        (samples_pb2.Sample(candidate=encoded(png(1)), reference=encoded(png(1)), prompt="hi"), "samples[0].prompt"),
        (
            samples_pb2.Sample(
                candidate=samples_pb2.Image(raw=samples_pb2.RawImage(width_px=5, height_px=5, rgb=b"abc"))
            ),
            "samples[0].candidate.raw",
        ),
    ],
    ids=["missing reference", "no candidate", "reference of another size", "extra prompt", "raw of another size"],
)
def test_a_sample_that_cant_be_scored_names_its_field(
    scoring: ScoringServiceStub, sample: samples_pb2.Sample, field: str
) -> None:
    error = only_error(score(scoring, [sample], "psnr"))
    assert error.code == scores_pb2.ERROR_CODE_INVALID_ARGUMENT
    assert error.field == field


def test_an_unknown_scorer_is_not_found_and_the_nearest_is_named(scoring: ScoringServiceStub) -> None:
    request = pb.ScoreRequest(samples=[pair(png(1), png(1))], scorers=["psnrr"])
    error = fails(scoring, request, grpc.StatusCode.NOT_FOUND)
    assert "psnr" in (error.details() or "")
    info = details(error)["ErrorInfo"]
    assert isinstance(info, ErrorInfo)
    assert info.reason == "ScorerNotFound"


@pytest.mark.parametrize("count", [0, 17])
def test_zero_samples_and_too_many_name_the_limit(scoring: ScoringServiceStub, count: int) -> None:
    request = pb.ScoreRequest(samples=[pair(png(1), png(1))] * count, scorers=["psnr"])
    error = fails(scoring, request, grpc.StatusCode.INVALID_ARGUMENT)
    assert f"want 1 to 16 samples in one request, got {count}" in (error.details() or "")
    bad = details(error)["BadRequest"]
    assert isinstance(bad, BadRequest)
    assert bad.field_violations[0].field == "samples"


@pytest.mark.parametrize(
    "request_",
    [
        pb.ScoreRequest(samples=[pair(png(1), png(1))]),
        pb.ScoreRequest(samples=[pair(png(1), png(1))], scorers=["psnr"], panel="fidelity"),
        pb.ScoreRequest(samples=[pair(png(1), png(1))], scorers=["psnr", "psnr"]),
        pb.ScoreRequest(samples=[pair(png(1), png(1))], scorers=["psnr"], priority=99),  # type: ignore[arg-type]
    ],
    ids=["no scorers", "scorers and panel", "a scorer twice", "unknown priority"],
)
def test_a_request_that_makes_no_sense_is_refused_whole(scoring: ScoringServiceStub, request_: pb.ScoreRequest) -> None:
    assert "BadRequest" in details(fails(scoring, request_, grpc.StatusCode.INVALID_ARGUMENT))


def test_a_scorer_that_is_not_served_here_is_a_failed_precondition(scoring: ScoringServiceStub) -> None:
    request = pb.ScoreRequest(samples=[pair(png(1), png(1))], scorers=["image-safety"])
    fails(scoring, request, grpc.StatusCode.FAILED_PRECONDITION)


def test_the_callers_request_id_comes_back_in_an_error(scoring: ScoringServiceStub) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        scoring.Score(pb.ScoreRequest(), timeout=TIMEOUT_S, metadata=(("x-request-id", "my-id.7"),))
    info = details(caught.value)["ErrorInfo"]
    assert isinstance(info, ErrorInfo)
    assert info.metadata["request_id"] == "my-id.7"


def test_a_stream_answers_every_message_by_its_id_and_outlives_bad_ones(scoring: ScoringServiceStub) -> None:
    def messages() -> Iterator[pb.ScoreStreamRequest]:
        for number in range(40):
            names = ["psnr"] if number % 5 else ["nonesuch"]
            request = pb.ScoreRequest(samples=[pair(png(number), png(number))], scorers=names)
            yield pb.ScoreStreamRequest(id=number, request=request)

    answers = list(scoring.ScoreStream(messages(), timeout=TIMEOUT_S))
    assert sorted(answer.id for answer in answers) == list(range(40))
    for answer in answers:
        if answer.id % 5:
            assert answer.response.samples[0].results[0].score.value > 70.0
        else:
            assert answer.error.code == scores_pb2.ERROR_CODE_NOT_FOUND


def test_an_id_in_work_cant_be_used_again(scoring: ScoringServiceStub) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (700, 700, 3), np.uint8)
    image = samples_pb2.Image(raw=samples_pb2.RawImage(width_px=700, height_px=700, rgb=noise.tobytes()))
    sample = samples_pb2.Sample(candidate=image, reference=image)
    request = pb.ScoreRequest(samples=[sample] * 4, scorers=["ssim"])
    twice = [pb.ScoreStreamRequest(id=7, request=request)] * 2
    first, second = scoring.ScoreStream(iter(twice), timeout=TIMEOUT_S)
    assert first.error.field == "id"
    assert second.HasField("response")


def test_rank_orders_candidates_and_shows_the_parts_of_each_total(scoring: ScoringServiceStub) -> None:
    reference = png(100)
    candidates = [encoded(data) for data in (png(90), png(100), b"broken", png(30))]
    response = scoring.Rank(
        pb.RankRequest(
            candidates=candidates,
            reference=encoded(reference),
            scorers=[pb.WeightedScorer(scorer="psnr", weight=2.0), pb.WeightedScorer(scorer="ssim")],
        ),
        timeout=TIMEOUT_S,
    )
    assert [ranked.index for ranked in response.ranking] == [1, 0, 3, 2]
    best, broken = response.ranking[0], response.ranking[3]
    assert best.total == pytest.approx(sum(part.contribution for part in best.parts), abs=1e-5)
    assert not broken.HasField("total")
    assert broken.parts[0].result.error.field == "candidates[2]"


@pytest.mark.parametrize(
    ("weights", "field"),
    [([("psnr", 0.0)], "scorers[0].weight"), ([("psnr", 1.0), ("psnr", 1.0)], "scorers[1].scorer"), ([], "scorers")],
)
def test_rank_refuses_weights_that_mean_nothing(
    scoring: ScoringServiceStub, weights: list[tuple[str, float]], field: str
) -> None:
    scorers = [pb.WeightedScorer(scorer=name, weight=weight) for name, weight in weights]
    with pytest.raises(grpc.RpcError) as caught:
        scoring.Rank(pb.RankRequest(candidates=[encoded(png(1))], scorers=scorers), timeout=TIMEOUT_S)
    bad = details(caught.value)["BadRequest"]
    assert isinstance(bad, BadRequest)
    assert bad.field_violations[0].field == field


def test_rank_without_candidates_names_the_field_that_the_caller_sent(scoring: ScoringServiceStub) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        scoring.Rank(pb.RankRequest(scorers=[pb.WeightedScorer(scorer="psnr")]), timeout=TIMEOUT_S)
    bad = details(caught.value)["BadRequest"]
    assert isinstance(bad, BadRequest)
    assert bad.field_violations[0].field == "candidates"


def test_scorers_are_described_with_card_digest_and_readiness(channel: grpc.Channel) -> None:
    stub = ScorerServiceStub(channel)
    scorers = {one.name: one for one in stub.ListScorers(scorer_service_pb2.ListScorersRequest()).scorers}
    ssim = scorers["ssim"]
    assert ssim.kind == scorers_pb2.KIND_FIDELITY
    assert ssim.direction == scorers_pb2.DIRECTION_HIGHER_IS_BETTER
    assert ssim.inputs.reference
    assert (ssim.inputs.min_side_px, ssim.inputs.max_side_px) == (11, 0)
    assert scorers["fsim-c"].inputs.max_side_px == 4096
    assert ssim.ready
    assert ssim.draws
    assert not scorers["psnr"].draws
    assert len(ssim.digest) == 64
    assert not scorers["image-safety"].ready
    card = stub.GetScorer(scorer_service_pb2.GetScorerRequest(name="ssim")).scorer.card
    assert card.startswith("# ssim\n")


def test_a_card_of_an_unknown_scorer_names_the_nearest(channel: grpc.Channel) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        ScorerServiceStub(channel).GetScorer(scorer_service_pb2.GetScorerRequest(name="sim"))
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND
    assert "ssim" in (caught.value.details() or "")


@pytest.mark.parametrize(
    ("service", "is_serving"),
    [
        ("", True),
        ("startup", True),
        ("ready", True),
        ("live", True),
        ("beholder.v1.ScoringService", True),
        ("beholder.v1.ScorerService", True),
        ("scorer/psnr", True),
        ("scorer/image-safety", False),
    ],
)
def test_health_answers_for_each_name(channel: grpc.Channel, service: str, is_serving: bool) -> None:
    answer = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(service=service))
    assert (answer.status == health_pb2.HealthCheckResponse.SERVING) is is_serving


def test_reflection_lists_the_services(channel: grpc.Channel) -> None:
    services = ProtoReflectionDescriptorDatabase(channel).get_services()
    assert {"beholder.v1.ScoringService", "beholder.v1.ScorerService", "grpc.health.v1.Health"} <= set(services)


def test_a_caller_that_goes_away_hurts_nobody(ours: ServerProcess, scoring: ScoringServiceStub) -> None:
    for _ in range(20):
        with grpc.insecure_channel(ours.address) as brief:
            future = ScoringServiceStub(brief).Score.future(
                pb.ScoreRequest(samples=[pair(png(1), png(2))] * 16, scorers=["ssim"])
            )
            future.cancel()
    assert score(scoring, [pair(png(1), png(1))], "psnr").samples[0].results[0].HasField("score")
    assert ours.process.poll() is None


def scrape(server: ServerProcess, accept: str = "text/plain") -> str:
    request = urllib.request.Request(f"http://{server.metrics_address}/metrics", headers={"Accept": accept})
    with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:  # noqa: S310 - loopback
        return str(answer.read().decode())


def test_metrics_count_results_and_stages(ours: ServerProcess, scoring: ScoringServiceStub) -> None:
    score(scoring, [pair(png(1), png(2))], "psnr")
    text = scrape(ours)
    for series in (
        'beholder_results_total{code="OK",scorer="psnr"}',
        'beholder_requests_total{code="OK",method="Score"}',
        'beholder_stage_duration_seconds_count{graph="",stage="decode"}',
        'beholder_stage_duration_seconds_count{graph="psnr",stage="run"}',
        'beholder_provider_info{graph="psnr",provider="CPUExecutionProvider"} 1.0',
        "process_resident_memory_bytes",
        "beholder_build_info",
    ):
        assert series in text, series


def test_a_stream_whose_caller_goes_away_is_not_counted_as_answered(start_server: StartServer) -> None:
    server = start_server(scorers=OURS, runners=1)
    noise = np.random.default_rng(0).integers(0, 256, (900, 900, 3), np.uint8)
    image = samples_pb2.Image(raw=samples_pb2.RawImage(width_px=900, height_px=900, rgb=noise.tobytes()))
    request = pb.ScoreRequest(samples=[samples_pb2.Sample(candidate=image, reference=image)] * 4, scorers=["ssim"])
    with grpc.insecure_channel(server.address) as channel:
        call = ScoringServiceStub(channel).ScoreStream(
            pb.ScoreStreamRequest(id=id_, request=request) for id_ in range(30)
        )
        next(call)
        call.cancel()
    deadline_s = time.monotonic() + TIMEOUT_S
    cancelled = 'beholder_requests_total{code="CANCELLED",method="ScoreStream'
    wanted = (f'{cancelled}"}} 1.0', f'{cancelled}.message"}}')  # the messages end after their stream
    while not all(series in (text := scrape(server)) for series in wanted):
        assert time.monotonic() < deadline_s, text
    answered = r'^beholder_requests_total{code="(\w+)",method="ScoreStream.message"} (\d+)'
    counted = dict(re.findall(answered, text, re.MULTILINE))
    assert int(counted["CANCELLED"]) > 0
    results = re.search(r'^beholder_results_total{code="OK",scorer="ssim"} (\d+)', text, re.MULTILINE)
    assert results is not None
    assert int(counted["OK"]) <= int(results[1]) // 4


def test_exemplars_carry_the_request_id(ours: ServerProcess, scoring: ScoringServiceStub) -> None:
    request = pb.ScoreRequest(samples=[pair(png(1), png(2))], scorers=["psnr"])
    scoring.Score(request, timeout=TIMEOUT_S, metadata=(("x-request-id", "exemplary"),))
    assert 'request_id="exemplary"' in scrape(ours, "application/openmetrics-text")


def test_promtool_has_nothing_to_say(ours: ServerProcess) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed")
    done = subprocess.run([promtool, "check", "metrics"], input=scrape(ours), capture_output=True, text=True)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_a_port_in_use_stops_the_start_with_one_line(ours: ServerProcess) -> None:
    for settings in ({"address": ours.address}, {"metrics_address": ours.metrics_address}):
        free = {"address": "127.0.0.1:0", "metrics_address": "127.0.0.1:0", "scorers": "psnr"}
        done = serve(**free | settings)
        assert done.returncode == 2
        assert next(iter(settings.values())) in done.stderr.strip().splitlines()[-1]
        assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"max_quue_rows": "7"}, "did you mean BEHOLDER_MAX_QUEUE_ROWS?"),
        ({"device": "cdua"}, "did you mean cuda?"),
        ({"max_queue_rows": "many"}, "want a whole number, got 'many'"),
        ({"max_queue_rows": "0"}, "want 1 to"),
        ({"scorers": "psn"}, "psnr"),
        ({"device": "cuda"}, "cuda"),
        ({"models": "/nonesuch"}, "/nonesuch"),
        ({"address": "nowhere"}, "host:port"),
    ],
    ids=["unknown", "choice", "type", "range", "scorer", "cuda", "folder", "address"],
)
def test_a_wrong_setting_stops_the_start_with_one_line_that_helps(settings: dict[str, str], words: str) -> None:
    done = serve(**{"address": "127.0.0.1:0", "metrics_address": "127.0.0.1:0", "scorers": "psnr"} | settings)
    assert done.returncode == 2
    assert words in done.stderr.strip().splitlines()[-1]
    assert "Traceback" not in done.stderr


def test_a_tampered_model_stops_the_start(tmp_path: Path) -> None:
    folder = shutil.copytree(REPO / "models" / "psnr", tmp_path / "psnr")
    with (folder / "model.onnx").open("r+b") as graph:
        graph.seek(100)
        graph.write(b"tampered")
    done = serve(address="127.0.0.1:0", metrics_address="127.0.0.1:0", models=str(tmp_path))
    assert done.returncode == 2
    assert "sha256" in done.stderr.lower()
    assert f"{folder}/model.onnx" in done.stderr


def test_sigterm_under_load_answers_or_refuses_everything(start_server: StartServer) -> None:
    server = start_server(scorers=OURS)
    outcomes: list[str] = []
    started = threading.Event()

    def ask() -> None:
        with grpc.insecure_channel(server.address) as channel:
            stub = ScoringServiceStub(channel)
            for _ in range(200):
                try:
                    stub.Score(pb.ScoreRequest(samples=[pair(png(1), png(2))], scorers=["ssim"]), timeout=TIMEOUT_S)
                    outcomes.append("OK")
                except grpc.RpcError as error:
                    outcomes.append(error.code().name)
                    if len(outcomes) > 800:
                        return
                started.set()

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    started.wait(TIMEOUT_S)
    assert server.stop() == 0
    for thread in threads:
        thread.join()
    assert set(outcomes) <= {"OK", "UNAVAILABLE"}
    assert outcomes.count("OK") > 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_during_the_warm_up_ends_the_process_at_once(number: signal.Signals) -> None:
    with patched("start") as server:
        assert server.stop(number, PATIENCE_S) == 0


def test_a_batch_that_is_stuck_does_not_keep_the_process_from_its_end() -> None:
    with patched("stop") as server:
        assert server.stop(timeout_s=PATIENCE_S) == 0


def test_a_second_ctrl_c_does_not_wait_for_the_drain(start_server: StartServer) -> None:
    server = start_server(scorers=OURS, drain_delay_s=1000)
    server.process.send_signal(signal.SIGINT)
    wait_for(server.log, "draining")
    assert server.stop(signal.SIGINT, PATIENCE_S) == 1


def test_a_second_sigterm_cuts_no_drain_short(start_server: StartServer) -> None:
    server = start_server(scorers=OURS, drain_delay_s=1)
    server.process.send_signal(signal.SIGTERM)
    wait_for(server.log, "draining")
    assert server.stop() == 0
    assert "stopped" in server.log.read_text()


@contextlib.contextmanager
def patched(method: str) -> Iterator[ServerProcess]:
    """Serve with a method of the engine that takes for ever, until it is called or the server serves."""
    sleeps = f"Engine.{method} = lambda engine: print('{method} called', flush=True) or time.sleep(1000)"
    script = (
        f"import time; from beholder.engine.engine import Engine; {sleeps}; import beholder.__main__ as m; m.main()"
    )
    env = environment(address="127.0.0.1:0", metrics_address="127.0.0.1:0", scorers="psnr")
    with tempfile.NamedTemporaryFile("w", suffix=".log") as log:
        process = subprocess.Popen([sys.executable, "-c", script, "serve"], env=env, stdout=log, stderr=log)
        server = ServerProcess("", "", process, Path(log.name))
        try:
            wait_for(server.log, f"{method} called" if method == "start" else "serving on")
            yield server
        finally:
            process.kill()
            process.wait()


def wait_for(log: Path, words: str) -> None:
    deadline_s = time.monotonic() + TIMEOUT_S
    while words not in (said := log.read_text()):
        assert time.monotonic() < deadline_s, said
        time.sleep(0.05)


def serve(**settings: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "beholder", "serve"],
        env=environment(**settings),
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
    )


def test_a_crowd_of_calls_is_answered_by_the_door_and_none_is_dropped_by_grpc(start_server: StartServer) -> None:
    request = pb.ScoreRequest(samples=[pair(png(9), png(9))], scorers=["psnr"])
    with grpc.insecure_channel(start_server(scorers=("psnr",), max_queue_rows=500).address) as channel:
        score(ScoringServiceStub(channel), [pair(png(9), png(9))], "psnr")
        calls = [ScoringServiceStub(channel).Score.future(request, timeout=TIMEOUT_S) for _ in range(4000)]
        codes = {call.code() for call in calls}
    assert grpc.StatusCode.OK in codes
    assert codes <= {grpc.StatusCode.OK, grpc.StatusCode.RESOURCE_EXHAUSTED}

"""The engine with real threads and fake sessions: who is answered, once, whatever happens to the others."""

import contextlib
import gc
import io
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Mapping

import numpy as np
import pytest
from PIL import Image

from beholder.engine.engine import Engine
from beholder.engine.job import Job
from beholder.errors import (
    Cancelled,
    DeadlinePassed,
    InvalidSample,
    QueueFull,
    ScorerNotExported,
    ScoringFailed,
    Unavailable,
)
from beholder.inputs.image import Limits, decode
from beholder.inputs.steps import apply, parse_steps
from beholder.types import EncodedImage, Kind, Outcome, Priority, RawImage, Sample, SampleResult, Score, Tensor
from fake_scorers import (
    HeldSession,
    House,
    brightness,
    brightness_drawn,
    difference,
    embedding,
    first_of_embedding,
    grey_png,
)

WAIT_S = 20.0
LIMITS = Limits(2**24, 10**7)
SMALL = parse_steps([{"op": "resize", "size_px": [8, 8], "filter": "bicubic"}])


@pytest.fixture
def house() -> House:
    return House()


@contextlib.contextmanager
def running(house: House, device: str = "cpu", **settings: object) -> Iterator[Engine]:
    engine = house.engine(device, **settings)
    engine.start()
    try:
        yield engine
    finally:
        engine.stop()


def submit(engine: Engine, samples: list[Sample], *names: str, timeout_s: float = WAIT_S, explain: bool = False) -> Job:
    scorers = [engine.scorer(name, explain=explain) for name in names]
    return engine.submit(samples, scorers, deadline_s=engine.clock() + timeout_s)


def ask(engine: Engine, samples: list[Sample], *names: str) -> list[dict[str, Outcome]]:
    return [dict(result) for result in submit(engine, samples, *names).wait(WAIT_S)]


def value(outcome: Outcome) -> float:
    assert isinstance(outcome, Score), outcome
    return outcome.value


def contrast(inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Embed a row as the deviation of its bytes and 1."""
    deviation = inputs["candidate"].std(axis=(1, 2, 3), dtype=np.float32)
    return {"embedding": np.stack([deviation, np.ones_like(deviation)], axis=1)}


def hold(session: HeldSession) -> None:
    """Close the gate and forget the runs so far."""
    session.gate.clear()
    session.batches.clear()
    while session.entered.acquire(blocking=False):
        pass


def until(holds: Callable[[], bool]) -> None:
    """Wait for another thread to get somewhere."""
    deadline_s = time.monotonic() + WAIT_S
    while not holds():
        assert time.monotonic() < deadline_s, "it never came true"
        time.sleep(0.002)


def test_every_sample_gets_its_own_score_in_the_order_sent(house: House) -> None:
    house.add_graph("bright", brightness)
    with running(house) as engine:
        results = ask(engine, [Sample(grey_png(level)) for level in range(0, 200, 10)], "bright")
    assert [round(value(result["bright"])) for result in results] == list(range(0, 200, 10))


def test_five_heads_on_one_image_run_the_encoder_once_and_decode_once(house: House) -> None:
    encoder = house.add_encoder("encoder", embedding)
    heads = [f"head{number}" for number in range(5)]
    for name in heads:
        house.add_head(name, "encoder", first_of_embedding)
    with running(house) as engine:
        encoder.batches.clear()
        (result,) = ask(engine, [Sample(grey_png(70))], *heads)
    assert {name: value(outcome) for name, outcome in result.items()} == dict.fromkeys(heads, 70.0)
    assert encoder.batches == [1]
    assert house.sample_count("beholder_stage_duration_seconds_count", stage="decode", graph="") == 1


def test_who_wants_a_small_jpeg_shares_neither_pixels_nor_cache_with_who_wants_all_of_it(house: House) -> None:
    """Each has the score that it has alone, first and from the cache; a broken file is broken for both."""
    resize = {"op": "resize", "size_px": [16, 16], "filter": "lanczos"}
    steps = {"whole": parse_steps([resize]), "small": parse_steps([{"op": "decode_small"}, resize])}
    for name, its in steps.items():
        house.add_encoder(f"encoder-{name}", contrast, steps=its)
        house.add_head(name, f"encoder-{name}", first_of_embedding)
    noise = np.random.default_rng(1).integers(0, 256, (200, 160, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(noise).save(file, "JPEG", quality=95)
    image = EncodedImage(file.getvalue())
    rows = {name: apply(its, decode(image, LIMITS, "", its))[None] for name, its in steps.items()}
    alone = {name: float(contrast({"candidate": row})["embedding"][0, 0]) for name, row in rows.items()}
    assert alone["whole"] != alone["small"]
    with running(house) as engine:
        for names in (("whole", "small"), ("small", "whole"), ("small",), ("whole",)):
            (result,) = ask(engine, [Sample(image)], *names)
            assert {name: value(outcome) for name, outcome in result.items()} == {name: alone[name] for name in names}
        assert house.sample_count("beholder_stage_duration_seconds_count", stage="decode", graph="") == 2
        (broken,) = ask(engine, [Sample(EncodedImage(image.data[:-2000]))], "small", "whole")
    assert [type(outcome) for outcome in broken.values()] == [InvalidSample] * 2


def test_an_image_that_many_samples_share_is_decoded_once(house: House) -> None:
    house.add_graph("apart", difference, Kind.FIDELITY)
    reference = grey_png(100)
    with running(house) as engine:
        results = ask(engine, [Sample(grey_png(100 + step), reference) for step in range(4)], "apart")
    assert [value(result["apart"]) for result in results] == [0.0, 1.0, 2.0, 3.0]
    assert house.sample_count("beholder_stage_duration_seconds_count", stage="decode", graph="") == 5


def test_a_repeated_image_is_answered_from_the_cache(house: House) -> None:
    session = house.add_graph("bright", brightness)
    with running(house) as engine:
        session.batches.clear()
        first, second = (ask(engine, [Sample(grey_png(9))], "bright")[0] for _ in range(2))
    assert first == second
    assert session.batches == [1]
    assert house.sample_count("beholder_cache_lookups_total", graph="bright", result="hit") == 1


def test_with_the_cache_off_a_repeated_image_runs_again(house: House) -> None:
    session = house.add_graph("bright", brightness)
    with running(house, cache_mb=0) as engine:
        session.batches.clear()
        ask(engine, [Sample(grey_png(9))], "bright")
        ask(engine, [Sample(grey_png(9))], "bright")
    assert session.batches == [1, 1]


def test_rows_that_wait_while_the_device_works_leave_as_one_batch(house: House) -> None:
    session = house.add_graph("bright", brightness)
    with running(house) as engine:
        hold(session)
        first = submit(engine, [Sample(grey_png(1))], "bright")
        session.entered.acquire(timeout=WAIT_S)
        others = submit(engine, [Sample(grey_png(level)) for level in range(2, 8)], "bright")
        until(lambda: house.sample_count("beholder_queue_rows", graph="bright", priority="interactive") == 6)
        session.gate.set()
        first.wait(WAIT_S)
        others.wait(WAIT_S)
    assert session.batches == [1, 6]


def test_on_a_gpu_every_batch_size_is_warmed_up_and_batches_in_between_are_padded(house: House) -> None:
    session = house.add_graph("bright", brightness, rows=6)
    with running(house, "cuda", cache_mb=0) as engine:
        assert session.batches == [1, 1, 2, 2, 4, 4, 6, 6]
        hold(session)
        first = submit(engine, [Sample(grey_png(1))], "bright")
        session.entered.acquire(timeout=WAIT_S)
        three = submit(engine, [Sample(grey_png(level)) for level in (2, 3, 4)], "bright")
        until(lambda: house.sample_count("beholder_queue_rows", graph="bright", priority="interactive") == 3)
        session.gate.set()
        first.wait(WAIT_S)
        assert [value(result["bright"]) for result in three.wait(WAIT_S)] == [2.0, 3.0, 4.0]
    assert session.batches == [1, 4]


def test_on_a_gpu_every_graph_has_runners_of_its_own(house: House) -> None:
    sessions = [house.add_graph(name, brightness, rows=1) for name in ("bright", "dark")]
    with running(house, "cuda", runners=2) as engine:
        assert [session.batches for session in sessions] == [[1] * 3] * 2  # warm-up: both at once, then one to time it
        for session in sessions:
            hold(session)
        jobs = [submit(engine, [Sample(grey_png(level))], "bright", "dark") for level in (1, 2)]
        for session in sessions:
            assert all(session.entered.acquire(timeout=WAIT_S) for _ in jobs)
            session.gate.set()
        assert [value(job.wait(WAIT_S)[0]["dark"]) for job in jobs] == [1.0, 2.0]


def test_a_broken_image_fails_alone_and_names_its_field(house: House) -> None:
    house.add_graph("bright", brightness)
    with running(house) as engine:
        good, bad = ask(engine, [Sample(grey_png(5)), Sample(EncodedImage(b"not an image"))], "bright")
    assert value(good["bright"]) == 5.0
    assert isinstance(bad["bright"], InvalidSample)
    assert bad["bright"].field == "samples[1].candidate"


def test_a_missing_reference_fails_only_the_scorer_that_needs_it(house: House) -> None:
    house.add_graph("bright", brightness)
    house.add_graph("apart", difference, Kind.FIDELITY)
    with running(house) as engine:
        (result,) = ask(engine, [Sample(grey_png(5))], "bright", "apart")
    assert value(result["bright"]) == 5.0
    assert isinstance(result["apart"], InvalidSample)
    assert result["apart"].field == "samples[0].reference"


def test_a_broken_reference_fails_only_the_scorer_that_looks_at_it(house: House) -> None:
    house.add_graph("apart", difference, Kind.FIDELITY)
    house.add_graph("bright", brightness)
    with running(house) as engine:
        (result,) = ask(engine, [Sample(grey_png(5), EncodedImage(b"no image"))], "apart", "bright")
    assert value(result["bright"]) == 5.0
    assert isinstance(result["apart"], InvalidSample)
    assert result["apart"].field == "samples[0].reference"


def test_a_reference_of_another_size_is_refused_with_both_sizes(house: House) -> None:
    house.add_graph("apart", difference, Kind.FIDELITY)
    with running(house) as engine:
        (result,) = ask(engine, [Sample(grey_png(5, 16), grey_png(5, 20))], "apart")
    assert isinstance(result["apart"], InvalidSample)
    assert "16x16" in result["apart"].message
    assert "20x20" in result["apart"].message


def test_a_number_that_is_not_finite_fails_its_own_row_only(house: House) -> None:
    def nan_if_black(inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        scores = brightness(inputs)["score"]
        return {"score": np.where(scores == 0.0, np.float32("nan"), scores)}

    house.add_graph("bright", nan_if_black)
    with running(house) as engine:
        black, grey = ask(engine, [Sample(grey_png(0)), Sample(grey_png(7))], "bright")
    assert isinstance(black["bright"], ScoringFailed)
    assert value(grey["bright"]) == 7.0


def test_a_failed_batch_hurts_only_itself_and_the_lane_lives_on(house: House) -> None:
    session = house.add_graph("bright", brightness)
    house.add_graph("other", brightness)
    with running(house) as engine:
        session.function = _fail
        (result,) = ask(engine, [Sample(grey_png(1))], "bright", "other")
        assert isinstance(result["bright"], ScoringFailed)
        assert "out of memory" not in result["bright"].message
        assert value(result["other"]) == 1.0
        session.function = brightness
        assert value(ask(engine, [Sample(grey_png(2))], "bright")[0]["bright"]) == 2.0


def test_repeated_failure_makes_a_scorer_not_ready_until_a_batch_succeeds(house: House) -> None:
    session = house.add_graph("bright", brightness)
    with running(house, cache_mb=0) as engine:
        session.function = _fail
        for _ in range(3):
            assert engine.not_ready_reason("bright") == ""
            ask(engine, [Sample(grey_png(1))], "bright")
        assert "failing" in engine.not_ready_reason("bright")
        session.function = brightness
        ask(engine, [Sample(grey_png(1))], "bright")
        assert engine.not_ready_reason("bright") == ""


def test_a_scorer_that_failed_is_ready_again_after_a_while_so_that_it_is_sent_something(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = house.add_graph("bright", brightness)
    with running(house, cache_mb=0) as engine:
        session.function = _fail
        for _ in range(3):
            ask(engine, [Sample(grey_png(1))], "bright")
        assert "failing" in engine.not_ready_reason("bright")
        monkeypatch.setattr("beholder.engine.lane.TRY_AGAIN_S", 0.0)
        assert engine.not_ready_reason("bright") == ""
        monkeypatch.undo()
        ask(engine, [Sample(grey_png(1))], "bright")
        assert "failing" in engine.not_ready_reason("bright")


def test_an_image_that_samples_share_counts_once_at_the_door(house: House) -> None:
    session = house.add_graph("apart", difference, Kind.FIDELITY)
    candidate, reference = (RawImage(np.zeros((256, 256, 3), np.uint8)) for _ in range(2))
    with running(house, max_queue_mb=1) as engine:
        hold(session)
        job = submit(engine, [Sample(candidate, reference)] * 8, "apart")
        assert house.sample_count("beholder_in_flight_bytes") == 2 * 256 * 256 * 3
        job.cancel()
        session.gate.set()
    assert house.sample_count("beholder_in_flight_bytes") == 0


def test_a_failing_head_leaves_the_other_heads_alone(house: House) -> None:
    house.add_encoder("encoder", embedding)
    house.add_head("good", "encoder", first_of_embedding)
    house.add_head("bad", "encoder", _fail)
    with running(house) as engine:
        (result,) = ask(engine, [Sample(grey_png(3))], "good", "bad")
    assert value(result["good"]) == 3.0
    assert isinstance(result["bad"], ScoringFailed)


def test_a_cancelled_job_is_answered_at_once_never_runs_and_makes_room(house: House) -> None:
    session = house.add_graph("bright", brightness)
    with running(house) as engine:
        hold(session)
        running_job = submit(engine, [Sample(grey_png(1))], "bright")
        session.entered.acquire(timeout=WAIT_S)
        waiting = submit(engine, [Sample(grey_png(level)) for level in range(2, 6)], "bright")
        neighbour = submit(engine, [Sample(grey_png(50))], "bright")
        until(lambda: house.sample_count("beholder_queue_rows", graph="bright", priority="interactive") == 5)
        waiting.cancel()
        assert all(isinstance(result["bright"], Cancelled) for result in waiting.wait(0.0))
        assert house.sample_count("beholder_in_flight_rows") == 2
        session.gate.set()
        assert value(neighbour.wait(WAIT_S)[0]["bright"]) == 50.0
        running_job.wait(WAIT_S)
    assert session.batches == [1, 1]
    assert house.sample_count("beholder_in_flight_rows") == 0


def test_cancelling_what_already_runs_drops_its_late_answer(house: House) -> None:
    session = house.add_graph("bright", brightness)
    with running(house) as engine:
        hold(session)
        job = submit(engine, [Sample(grey_png(1))], "bright")
        session.entered.acquire(timeout=WAIT_S)
        job.cancel()
        session.gate.set()
        assert engine.drain(WAIT_S)
        assert isinstance(job.wait(0.0)[0]["bright"], Cancelled)


def test_a_row_whose_deadline_passes_in_the_queue_never_reaches_the_device(house: House) -> None:
    session = house.add_graph("bright", brightness, rows=1)
    with running(house, runners=2) as engine:
        hold(session)
        blockers = [submit(engine, [Sample(grey_png(level))], "bright") for level in (1, 2)]
        for _ in blockers:
            session.entered.acquire(timeout=WAIT_S)
        late = submit(engine, [Sample(grey_png(3))], "bright", timeout_s=0.05)
        until(lambda: engine.clock() > late.deadline_s)
        session.gate.set()
        assert isinstance(late.wait(WAIT_S)[0]["bright"], DeadlinePassed)
        for job in blockers:
            job.wait(WAIT_S)
    assert session.batches == [1, 1]


def test_a_row_is_told_that_it_is_late_though_every_runner_is_busy(house: House) -> None:
    session = house.add_graph("bright", brightness)
    with running(house) as engine:
        hold(session)
        blocker = submit(engine, [Sample(grey_png(1))], "bright")
        session.entered.acquire(timeout=WAIT_S)
        patient = submit(engine, [Sample(grey_png(2))], "bright")
        late = submit(engine, [Sample(grey_png(3))], "bright", timeout_s=0.05)
        assert isinstance(late.wait(WAIT_S)[0]["bright"], DeadlinePassed)
        session.gate.set()
        for job in (blocker, patient):
            job.wait(WAIT_S)
    assert session.batches == [1, 1]


def test_a_row_whose_deadline_passes_while_another_graph_holds_the_device_never_reaches_it(house: House) -> None:
    blocking, waiting = house.add_graph("blocking", brightness), house.add_graph("waiting", brightness)
    with running(house) as engine:
        hold(blocking)
        hold(waiting)
        waiting.gate.set()
        blocker = submit(engine, [Sample(grey_png(1))], "blocking")
        blocking.entered.acquire(timeout=WAIT_S)
        late = submit(engine, [Sample(grey_png(2))], "waiting", timeout_s=0.05)
        assert isinstance(late.wait(WAIT_S)[0]["waiting"], DeadlinePassed)
        blocking.gate.set()
        blocker.wait(WAIT_S)
    assert waiting.batches == []


def test_a_backlog_of_one_graph_does_not_keep_the_device_from_another(house: House) -> None:
    order: list[str] = []

    def noting(name: str) -> Callable[[Mapping[str, Tensor]], dict[str, Tensor]]:
        def run(inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
            order.append(name)
            return brightness(inputs)

        return run

    busy = house.add_graph("busy", noting("busy"), rows=1)
    house.add_graph("other", noting("other"), rows=1)
    with running(house, cache_mb=0) as engine:
        hold(busy)
        backlog = submit(engine, [Sample(grey_png(level)) for level in range(50)], "busy")
        busy.entered.acquire(timeout=WAIT_S)
        lone = submit(engine, [Sample(grey_png(9))], "other")
        until(lambda: house.sample_count("beholder_queue_rows", graph="other", priority="interactive") == 1)
        until(lambda: house.sample_count("beholder_queue_rows", graph="busy", priority="interactive") >= 2)
        until(lambda: len(engine._lanes["other"].workers._slots._line) == 1)  # its runner lines up later
        order.clear()
        busy.gate.set()
        lone.wait(WAIT_S)
        backlog.wait(WAIT_S)
    assert order.index("other") <= 2


@pytest.mark.parametrize(
    ("device", "settings", "thread"),
    [
        ("cpu", {"decode_threads": 2, "runners": 2}, "prepare-"),
        ("cpu", {"decode_threads": 1, "runners": 2}, "bright-"),
        ("cpu", {"decode_threads": 3, "runners": 2}, "bright-"),
        ("cuda", {"decode_threads": 2, "runners": 2}, "bright-"),
    ],
    ids=["a CPU", "too few that prepare", "more that prepare", "a GPU"],
)
def test_who_prepares_a_sample_runs_it_too_where_that_costs_nobody_a_thread(
    house: House, device: str, settings: dict[str, int], thread: str
) -> None:
    names: list[str] = []

    def note(inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        names.append(threading.current_thread().name)
        return brightness(inputs)

    house.add_graph("bright", note)
    with running(house, device, **settings) as engine:
        names.clear()
        for level in range(5):
            ask(engine, [Sample(grey_png(level))], "bright")
    assert len(names) == 5
    assert all(name.startswith(thread) for name in names)


def test_who_prepares_a_sample_for_several_graphs_runs_the_last_alone(house: House) -> None:
    threads: dict[str, str] = {}

    def noting(name: str) -> Callable[[Mapping[str, Tensor]], dict[str, Tensor]]:
        def run(inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
            threads[name] = threading.current_thread().name
            return brightness(inputs)

        return run

    for name in ("one", "two"):
        house.add_graph(name, noting(name))
    with running(house, runners=2) as engine:
        ask(engine, [Sample(grey_png(1))], "one", "two")
    assert threads["one"].startswith("one-")
    assert threads["two"].startswith("prepare-")


def test_samples_that_wait_are_prepared_together_and_run_in_one_batch(house: House) -> None:
    batches: list[tuple[str, list[float]]] = []

    def note(inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        outputs = embedding(inputs)
        batches.append((threading.current_thread().name, outputs["embedding"][:, 0].tolist()))
        return outputs

    session = house.add_encoder("encoder", note, rows=2, steps=SMALL)
    house.add_head("bright", "encoder", first_of_embedding)
    with running(house, cache_mb=0, decode_threads=1) as engine:
        batches.clear()
        hold(session)
        first = submit(engine, [Sample(grey_png(1))], "bright")
        session.entered.acquire(timeout=WAIT_S)
        others = submit(engine, [Sample(grey_png(level)) for level in (2, 3, 4)], "bright")
        session.gate.set()
        first.wait(WAIT_S)
        others.wait(WAIT_S)
    assert batches == [("prepare-0", [1.0]), ("prepare-0", [2.0, 3.0]), ("prepare-0", [4.0])]


def test_one_bad_sample_of_those_prepared_together_hurts_none_of_the_others(house: House) -> None:
    session = house.add_encoder("encoder", embedding, rows=2, steps=SMALL)
    house.add_head("bright", "encoder", first_of_embedding)
    with running(house, cache_mb=0, decode_threads=1) as engine:
        hold(session)
        first = submit(engine, [Sample(grey_png(1))], "bright")
        session.entered.acquire(timeout=WAIT_S)
        broken = submit(engine, [Sample(EncodedImage(b"no image"))], "bright")
        whole = submit(engine, [Sample(grey_png(2))], "bright")
        session.gate.set()
        assert isinstance(broken.wait(WAIT_S)[0]["bright"], InvalidSample)
        assert value(whole.wait(WAIT_S)[0]["bright"]) == 2.0
        first.wait(WAIT_S)


def test_a_sample_that_was_scored_is_held_by_nobody(house: House) -> None:
    session = house.add_graph("bright", brightness)
    with running(house, cache_mb=0) as engine:
        hold(session)
        gc.disable()
        try:
            job = submit(engine, [Sample(grey_png(1))], "bright")
            session.entered.acquire(timeout=WAIT_S)
            task = weakref.ref(job.tasks[0])
            session.gate.set()
            job.wait(WAIT_S)
            del job
            until(lambda: task() is None)
        finally:
            gc.enable()


def test_a_deadline_that_never_comes_stops_no_thread(house: House) -> None:
    session = house.add_graph("bright", brightness)
    with running(house) as engine:
        hold(session)
        first = submit(engine, [Sample(grey_png(1))], "bright", timeout_s=float("inf"))
        session.entered.acquire(timeout=WAIT_S)
        late = submit(engine, [Sample(grey_png(2))], "bright", timeout_s=0.05)
        assert isinstance(late.wait(WAIT_S)[0]["bright"], DeadlinePassed)
        session.gate.set()
        assert value(first.wait(WAIT_S)[0]["bright"]) == 1.0


def test_more_rows_than_fit_are_refused_whole_and_hurt_nobody_inside(house: House) -> None:
    session = house.add_graph("bright", brightness)
    with running(house, max_queue_rows=4) as engine:
        hold(session)
        inside = submit(engine, [Sample(grey_png(level)) for level in range(3)], "bright")
        with pytest.raises(QueueFull, match="the limit is 4") as caught:
            submit(engine, [Sample(grey_png(9)), Sample(grey_png(8))], "bright")
        assert caught.value.retry_after_s > 0.0
        session.gate.set()
        assert [value(result["bright"]) for result in inside.wait(WAIT_S)] == [0.0, 1.0, 2.0]


def test_once_it_knows_what_a_batch_costs_the_door_refuses_what_cant_be_done_in_time(house: House) -> None:
    session = house.add_graph("bright", _slow, rows=1)
    with running(house, cache_mb=0) as engine:
        for level in range(4):
            ask(engine, [Sample(grey_png(level))], "bright")
        session.batches.clear()
        with pytest.raises(DeadlinePassed, match=r"the deadline is 0\.\d+ s away and the answer about 0\.\d+ s"):
            submit(engine, [Sample(grey_png(9))] * 8, "bright", timeout_s=0.1)
        assert session.batches == []
        assert house.sample_count("beholder_refusals_total", reason="deadline_unreachable") == 1
        assert house.sample_count("beholder_in_flight_rows") == 0


def test_bulk_rows_that_are_still_to_be_prepared_refuse_nobody_who_overtakes_them(house: House) -> None:
    session = house.add_graph("bright", _slow, rows=1)
    with running(house, cache_mb=0, max_prepared_mb=1) as engine:
        for level in range(4):
            ask(engine, [Sample(grey_png(level))], "bright")
        hold(session)
        bulk = engine.submit(
            [Sample(grey_png(level, 512)) for level in range(100)],
            [engine.scorer("bright")],
            deadline_s=engine.clock() + 60.0,
            priority=Priority.BATCH,
        )
        until(lambda: engine._held_bytes >= 2**20)
        job = submit(engine, [Sample(grey_png(9))], "bright", timeout_s=1.0)
        session.gate.set()
        assert value(job.wait(WAIT_S)[0]["bright"]) == 9.0
        bulk.cancel()


def test_interactive_rows_overtake_a_backlog_of_bulk_rows(house: House) -> None:
    order: list[float] = []

    def note(inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        outputs = brightness(inputs)
        order.extend(outputs["score"].tolist())
        return outputs

    session = house.add_graph("bright", note, rows=1)
    with running(house, cache_mb=0) as engine:
        order.clear()
        hold(session)
        first = submit(engine, [Sample(grey_png(1))], "bright")
        session.entered.acquire(timeout=WAIT_S)
        scorers = [engine.scorer("bright")]
        bulk = engine.submit(
            [Sample(grey_png(level)) for level in (2, 3, 4)],
            scorers,
            deadline_s=engine.clock() + WAIT_S,
            priority=Priority.BATCH,
        )
        until(lambda: house.sample_count("beholder_queue_rows", graph="bright", priority="batch") >= 2)
        person = submit(engine, [Sample(grey_png(200))], "bright")
        until(lambda: house.sample_count("beholder_queue_rows", graph="bright", priority="interactive") == 1)
        session.gate.set()
        for job in (first, bulk, person):
            job.wait(WAIT_S)
    assert order[:2] == [1.0, 200.0]
    assert sorted(order[2:]) == [2.0, 3.0, 4.0]


def test_decoded_pixels_that_wait_are_bounded(house: House) -> None:
    session = house.add_graph("bright", brightness)
    with running(house, max_prepared_mb=1, cache_mb=0) as engine:
        hold(session)
        job = submit(engine, [Sample(grey_png(level, 512)) for level in range(8)], "bright")
        session.entered.acquire(timeout=WAIT_S)
        held_mb = engine._held_bytes / 2**20
        session.gate.set()
        assert [value(result["bright"]) for result in job.wait(WAIT_S)] == [float(level) for level in range(8)]
    assert held_mb <= 1.0 + 2 * 0.75


def test_a_sample_that_waits_for_the_device_lets_go_of_its_decoded_images(house: House) -> None:
    session = house.add_graph("bright", brightness)
    with running(house) as engine:
        hold(session)
        first = submit(engine, [Sample(grey_png(1))], "bright")
        session.entered.acquire(timeout=WAIT_S)
        job = submit(engine, [Sample(grey_png(level)) for level in (2, 3)], "bright", timeout_s=2 * WAIT_S)
        until(lambda: house.sample_count("beholder_queue_rows", graph="bright", priority="interactive") == 2)
        until(lambda: not any(task.pictures for task in job.tasks))
        session.gate.set()
        first.wait(WAIT_S)
        job.wait(WAIT_S)


def test_the_time_to_open_a_graph_that_draws_is_not_what_its_maps_cost(house: House) -> None:
    """A caller with a short deadline is not refused because the first map took long."""
    house.add_graph("bright", brightness)
    runs: list[float] = []

    def open_and_draw(inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        time.sleep(0.0 if runs else 1.0)
        runs.append(0.0)
        return brightness_drawn(inputs)

    house.add_drawing("bright", open_and_draw)
    with running(house) as engine:
        for level in range(4):
            submit(engine, [Sample(grey_png(level))], "bright", explain=True).wait(WAIT_S)
        job = submit(engine, [Sample(grey_png(9))], "bright", timeout_s=0.2, explain=True)
        assert value(job.wait(WAIT_S)[0]["bright"]) == 9.0


def test_maps_are_not_kept_in_the_cache(house: House) -> None:
    house.add_graph("bright", brightness)
    drawing = house.add_drawing("bright", brightness_drawn)
    with running(house) as engine:
        for _ in range(2):
            (result,) = submit(engine, [Sample(grey_png(9))], "bright", explain=True).wait(WAIT_S)
            outcome = result["bright"]
            assert isinstance(outcome, Score)
            assert outcome.map
    assert drawing.batches == [1, 1]
    assert house.sample_count("beholder_cache_bytes") == 0


def test_a_graph_that_draws_and_keeps_failing_leaves_the_scorer_ready(house: House) -> None:
    house.add_graph("bright", brightness)
    house.add_drawing("bright", _fail)
    with running(house) as engine:
        for _ in range(4):
            (result,) = submit(engine, [Sample(grey_png(9))], "bright", explain=True).wait(WAIT_S)
            assert isinstance(result["bright"], ScoringFailed)
        assert engine.not_ready_reason("bright") == ""
        assert value(ask(engine, [Sample(grey_png(9))], "bright")[0]["bright"]) == 9.0


def test_zero_samples_and_too_many_are_refused_with_the_limit(house: House) -> None:
    house.add_graph("bright", brightness)
    with running(house, max_samples=2) as engine:
        for count in (0, 3):
            with pytest.raises(InvalidSample, match=f"want 1 to 2 samples in one request, got {count}"):
                submit(engine, [Sample(grey_png(0))] * count, "bright")


def test_a_scorer_without_a_graph_says_how_to_get_one(house: House) -> None:
    house.add_graph("bright", brightness)
    del house.loaded.scorers["bright"]
    house.loaded.missing["bright"] = "run `beholder export bright`"
    with running(house) as engine, pytest.raises(ScorerNotExported, match="beholder export bright"):
        submit(engine, [Sample(grey_png(0))], "bright")


def test_before_the_start_and_while_draining_requests_are_refused_as_unavailable(house: House) -> None:
    house.add_graph("bright", brightness)
    engine = house.engine()
    with pytest.raises(Unavailable, match="starting"):
        submit(engine, [Sample(grey_png(0))], "bright")
    engine.start()
    assert engine.drain(WAIT_S)
    with pytest.raises(Unavailable, match="shutting down"):
        submit(engine, [Sample(grey_png(0))], "bright")
    engine.stop()


def test_draining_waits_for_those_inside(house: House) -> None:
    session = house.add_graph("bright", brightness)
    with running(house) as engine:
        hold(session)
        job = submit(engine, [Sample(grey_png(4))], "bright")
        session.entered.acquire(timeout=WAIT_S)
        assert not engine.drain(0.01)
        session.gate.set()
        assert engine.drain(WAIT_S)
        assert value(job.wait(0.0)[0]["bright"]) == 4.0


def test_results_are_told_one_by_one_and_then_the_job_is_done(house: House) -> None:
    house.add_graph("bright", brightness)
    told: list[int] = []
    with running(house) as engine:
        job = engine.submit(
            [Sample(grey_png(level)) for level in range(5)],
            [engine.scorer("bright")],
            deadline_s=engine.clock() + WAIT_S,
            on_result=lambda index, _: told.append(index),
        )
        job.wait(WAIT_S)
    assert sorted(told) == [0, 1, 2, 3, 4]


def test_stopping_answers_those_who_never_got_their_turn(house: House) -> None:
    session = house.add_graph("bright", brightness, rows=1)
    with running(house, "cuda") as engine:
        hold(session)
        runs = submit(engine, [Sample(grey_png(1))], "bright")
        session.entered.acquire(timeout=WAIT_S)
        waits = submit(engine, [Sample(grey_png(2))], "bright")
        until(lambda: house.sample_count("beholder_queue_rows", graph="bright", priority="interactive") == 1)
        threading.Timer(0.2, session.gate.set).start()
        engine.stop()
        assert value(runs.wait(WAIT_S)[0]["bright"]) == 1.0
        assert isinstance(waits.wait(WAIT_S)[0]["bright"], Unavailable)


def test_a_callback_that_raises_hurts_nobody(house: House) -> None:
    def raises(index: int, result: SampleResult) -> None:
        raise ValueError("the caller's own fault")

    house.add_graph("bright", brightness)
    with running(house) as engine:
        samples = [Sample(grey_png(level)) for level in range(3)]
        scorers = [engine.scorer("bright")]
        job = engine.submit(samples, scorers, deadline_s=engine.clock() + WAIT_S, on_result=raises)
        assert [value(result["bright"]) for result in job.wait(WAIT_S)] == [0.0, 1.0, 2.0]


def test_a_stopped_engine_has_closed_its_sessions(house: House) -> None:
    session = house.add_graph("bright", brightness)
    with running(house):
        pass
    assert session.is_closed


def _slow(inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    time.sleep(0.05)
    return brightness(inputs)


def _fail(inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    raise RuntimeError("CUDA error: out of memory")

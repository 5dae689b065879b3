"""One page of series of several processes."""

import pickle

from prometheus_client.exposition import generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics

from beholder.metrics import Gathered, Metrics, counted, merged


def page(calls: int, seconds: float, version: str = "1") -> Metrics:
    metrics = Metrics()
    for _ in range(calls):
        metrics.observe_request("Score", "OK", seconds, f"id-{seconds:g}")
    metrics.in_flight_rows.set(calls)
    metrics.load_seconds.labels("graph").set(seconds)
    metrics.scorer_ready.labels("scorer").set(calls > 1)
    metrics.build.info({"version": version})
    return metrics


def value(families: list, name: str, **labels: str) -> float | None:
    return next(
        (
            sample.value
            for family in families
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        ),
        None,
    )


def test_counts_are_added_and_what_all_tell_alike_is_told_once() -> None:
    one, other = page(3, 0.02), page(1, 0.3)
    whole = merged([one.registry.collect(), other.registry.collect()])
    assert value(whole, "beholder_requests_total", code="OK") == 4
    assert value(whole, "beholder_request_duration_seconds_count") == 4
    assert value(whole, "beholder_request_duration_seconds_bucket", le="0.025") == 3
    assert value(whole, "beholder_request_duration_seconds_bucket", le="0.5") == 4
    assert value(whole, "beholder_in_flight_rows") == 4
    assert value(whole, "beholder_graph_load_seconds") == 0.3
    assert value(whole, "beholder_scorer_ready") == 0
    assert value(whole, "beholder_build_info") == 1


def test_a_page_of_one_process_is_what_that_process_would_show() -> None:
    metrics = page(2, 0.1)
    families = list(metrics.registry.collect())
    assert merged([families]) == families


def test_what_a_process_counted_outlives_it_and_how_it_was_does_not() -> None:
    left = counted(page(3, 0.02).registry.collect())
    whole = merged([left, page(1, 0.3).registry.collect()])
    assert value(whole, "beholder_requests_total") == 4
    assert value(whole, "beholder_in_flight_rows") == 1


def test_pages_travel_and_are_shown_in_both_formats_with_exemplars() -> None:
    pages = [pickle.loads(pickle.dumps(list(page(1, 0.1).registry.collect()))) for _ in range(2)]  # noqa: S301
    gathered = Gathered(lambda: pages)
    assert b'beholder_requests_total{code="OK",method="Score"} 2.0' in generate_latest(gathered.registry)
    assert b'request_id="id-0.1"' in generate_openmetrics(gathered.registry)
    assert b"process_cpu_seconds_total" in generate_latest(gathered.registry)

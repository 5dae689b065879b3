"""What Prometheus series tell."""

from beholder.load.server import infos, parse, told_between
from beholder.metrics import Metrics

BEFORE = """# HELP beholder_x_total told
beholder_requests_total{method="Score",code="OK"} 10.0
beholder_stage_duration_seconds_count{stage="run",graph="psnr"} 4.0
beholder_stage_duration_seconds_sum{stage="run",graph="psnr"} 0.4
process_cpu_seconds_total 5.0
"""
AFTER = """beholder_requests_total{method="Score",code="OK"} 30.0
beholder_requests_total{method="Score",code="NOT_FOUND"} 1.0
beholder_stage_duration_seconds_count{stage="run",graph="psnr"} 14.0
beholder_stage_duration_seconds_sum{stage="run",graph="psnr"} 0.6
beholder_stage_duration_seconds_count{stage="decode",graph=""} 0.0
beholder_batch_rows_bucket{graph="psnr",le="1.0"} 6.0
beholder_batch_rows_bucket{graph="psnr",le="+Inf"} 10.0
beholder_batch_rows_count{graph="psnr"} 10.0
beholder_batch_rows_sum{graph="psnr"} 14.0
beholder_refusals_total{reason="rows"} 3.0
beholder_cache_lookups_total{graph="a",result="hit"} 2.0
beholder_cache_lookups_total{graph="b",result="hit"} 5.0
process_cpu_seconds_total 6.5
process_resident_memory_bytes 1000.0
"""


def test_the_format_is_read() -> None:
    series = parse('# TYPE a counter\na{x="1, \\"2\\"",y="}"} 3.5e2\nb NaN\nb_created 1\n')
    assert series["a", (("x", '1, "2"'), ("y", "}"))] == 350
    assert series["b_created", ()] == 1


def test_what_our_own_registry_writes_is_read() -> None:
    from prometheus_client import generate_latest

    metrics = Metrics()
    metrics.observe_request("Score", "OK", 0.01, "an-id")
    metrics.build.info({"version": "1", "device": "cpu"})
    series = parse(generate_latest(metrics.registry).decode())
    assert series["beholder_requests_total", (("code", "OK"), ("method", "Score"))] == 1
    assert infos(series)["build"] == [{"device": "cpu", "version": "1"}]


def test_a_leg_is_the_difference_of_two_scrapes() -> None:
    told = told_between(parse(BEFORE), parse(AFTER))
    assert told.requests == {"Score OK": 20, "Score NOT_FOUND": 1}
    (stage,) = told.stages
    assert (stage["stage"], stage["graph"], stage["count"], round(stage["mean_ms"], 6)) == ("run", "psnr", 10, 20)
    (batch,) = told.batches
    assert (batch["mean_rows"], batch["at_most"]) == (1.4, {"1.0": 6, "+Inf": 10})
    assert told.refusals == {"rows": 3}
    assert told.cache == {"hit": 7}
    assert (told.cpu_s, told.memory_bytes) == (1.5, 1000)

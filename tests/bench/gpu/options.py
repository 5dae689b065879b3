"""What a session may be opened with: convolution search, layout, TF32, float16, and what each costs in the scores."""

from beholder.runtime.session import Device
from bench.gpu.rows import Report, Row
from bench.gpu.sessions import in_float16, open_raw
from bench.gpu.subjects import Subject
from bench.gpu.ways import Fixed, kept, measure

OPTIONS: dict[str, dict[str, str]] = {
    "as the service": {},
    "convolution search DEFAULT": {"cudnn_conv_algo_search": "DEFAULT"},
    "convolution search EXHAUSTIVE": {"cudnn_conv_algo_search": "EXHAUSTIVE"},
    "prefer_nhwc": {"prefer_nhwc": "1"},
    "fuse_conv_bias": {"fuse_conv_bias": "1"},
    "cudnn_conv_use_max_workspace off": {"cudnn_conv_use_max_workspace": "0"},
    "use_ep_level_unified_stream": {"use_ep_level_unified_stream": "1"},
    "TF32": {"use_tf32": "1"},
}
IN_FLOAT16: dict[str, dict[str, str]] = {
    "float16": {},
    "float16, prefer_nhwc": {"prefer_nhwc": "1"},
    "float16, CUDA graph": {"enable_cuda_graph": "1"},
    "float16, prefer_nhwc, CUDA graph": {"prefer_nhwc": "1", "enable_cuda_graph": "1"},
}
BUDGET = 2e-3
"""How far a faster arithmetic may carry a score of 0 to 1, or an embedding over its length, from float32."""
SLOW = "EXHAUSTIVE"
"""It searches for every batch size anew, so it is measured for the largest alone."""


def measure_options(report: Report, subject: Subject, device: Device, sizes: list[int]) -> None:
    """Measure each option for some batch sizes; the first run of each shows what its search costs."""
    for what, options in OPTIONS.items():
        _measure(report, subject, device, what, b"", options, sizes[-1:] if SLOW in what else sizes)
    with report.row("options", subject.name, "float16: converting the graph") as row:
        report.need()
        model = in_float16(subject.model)
        row.more["MB"] = len(model) / 1e6
    if row.error:
        return
    for what, options in IN_FLOAT16.items():
        _measure(report, subject, device, what, model, options, sizes)


def _measure(
    report: Report, subject: Subject, device: Device, what: str, model: bytes, options: dict[str, str], sizes: list[int]
) -> None:
    is_graph = "enable_cuda_graph" in options
    try:
        report.need()
        opened = open_raw(subject, device, model, **options)
    except Exception as error:
        with report.row("options", subject.name, what):
            raise error
        return
    for rows in sizes:
        make = (lambda its, feeds, rows=rows: Fixed(its, feeds, rows)) if is_graph else kept
        measure(report, "options", opened, what, rows, make)


def worst_apart(report: Report, subject: str, what: str) -> float | None:
    """Return the largest difference of one option over all batch sizes; None where there is none."""
    found = [row.apart for row in report.of("options", subject, what) if row.apart is not None]
    return max(found, default=None)


def fastest(rows: list[Row]) -> Row | None:
    """Return the row with most images per second; None of none."""
    return max((row for row in rows if row.per_s), key=lambda row: row.per_s, default=None)

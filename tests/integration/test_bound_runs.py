"""Runs bound to a device's memory, on the CPU's: the way of a GPU, which `make gpu-check` takes on the GPU itself."""

import threading
from collections.abc import Mapping

import numpy as np
import pytest
from onnx import TensorProto, helper

from beholder.runtime import bound
from beholder.runtime.bound import BoundRuns
from beholder.runtime.ort import import_onnxruntime
from beholder.runtime.session import Device
from beholder.types import Tensor

CPU = Device("cpu", 0, 1)


def open_runs(operator: str, *names: str, output_type: int = TensorProto.FLOAT) -> BoundRuns:
    """Open a graph of one operator on vectors of floats."""
    vectors = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n"]) for name in names]
    output = helper.make_tensor_value_info("y", output_type, None)
    graph = helper.make_graph([helper.make_node(operator, names, ["y"])], "test", vectors, [output])
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    ort = import_onnxruntime()
    session = ort.InferenceSession(made.SerializeToString(), providers=["CPUExecutionProvider"])
    return BoundRuns(ort, session, ("y",), CPU)


def floats(*values: float) -> Tensor:
    return np.array(values, np.float32)


def ask(runs: BoundRuns, feeds: Mapping[str, Tensor]) -> list[float]:
    (output,) = runs.run(feeds)
    return np.ravel(output).tolist()


def sizes(runs: BoundRuns) -> list[int]:
    """Return the lengths of the vectors for which memory is kept, the last one used last."""
    return [shapes[0][1][0] for shapes in runs.idle]


def test_they_give_what_plain_runs_give_and_leave_what_they_read_alone() -> None:
    runs = open_runs("Sub", "a", "b")
    first, second = {"a": floats(5, 7), "b": floats(1, 2)}, {"a": floats(0, 0), "b": floats(1, 2)}
    assert [ask(runs, first), ask(runs, second), ask(runs, first)] == [[4, 5], [-1, -2], [4, 5]]
    assert first["a"].tolist() == [5, 7]


def test_an_output_stays_as_it_is_when_the_memory_is_used_again() -> None:
    runs = open_runs("Neg", "a")
    (kept,) = runs.run({"a": floats(1, 2)})
    runs.run({"a": floats(8, 9)})
    assert kept.tolist() == [-1, -2]


def test_memory_is_used_again_for_the_same_shape_alone() -> None:
    runs = open_runs("Neg", "a")
    for length in (2, 3, 2, 2, 3):
        assert ask(runs, {"a": np.ones(length, np.float32)}) == [-1] * length
    assert sizes(runs) == [2, 3]


def test_as_many_bytes_of_another_type_are_refused_and_not_read_as_floats() -> None:
    runs = open_runs("Neg", "a")
    runs.run({"a": floats(1, 2)})
    with pytest.raises(Exception, match=r"(?i)type"):
        runs.run({"a": np.array([1, 2], np.int32)})
    assert ask(runs, {"a": floats(3, 4)}) == [-3, -4]


def test_the_shape_of_an_output_may_depend_on_the_data() -> None:
    runs = open_runs("NonZero", "a", output_type=TensorProto.INT64)
    found = [ask(runs, {"a": floats(*values)}) for values in ((0, 1, 2), (0, 0, 0), (1, 1, 1))]
    assert (found, sizes(runs)) == ([[1, 2], [], [0, 1, 2]], [3])


def test_memory_of_a_run_that_failed_is_not_used_again() -> None:
    runs = open_runs("Add", "a", "b")
    with pytest.raises(Exception, match=r"(?i)broadcast|dimension|shape"):
        runs.run({"a": floats(1, 2), "b": floats(1, 2, 3)})
    assert sizes(runs) == []
    assert ask(runs, {"a": floats(1, 2), "b": floats(3, 4)}) == [4, 6]


def test_what_was_not_used_for_longest_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bound, "KEPT_SETS", 2)
    runs = open_runs("Neg", "a")
    for length in (1, 2, 1, 3):
        runs.run({"a": np.ones(length, np.float32)})
    assert sizes(runs) == [1, 3]


def test_kept_memory_has_a_limit_in_bytes_which_one_giant_does_not_spend(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bound, "KEPT_BYTES", 40)
    runs = open_runs("Neg", "a")
    for length in (3, 4, 11, 5):
        assert ask(runs, {"a": np.ones(length, np.float32)}) == [-1] * length
    assert sizes(runs) == [4, 5]


def test_threads_never_share_memory() -> None:
    runs = open_runs("Neg", "a")
    wrong: list[object] = []

    def work(number: int) -> None:
        for turn in range(200):
            length = 100 + turn % 3
            values = np.full(length, number, np.float32)
            if set(ask(runs, {"a": values})) != {-number}:
                wrong.append(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert 3 <= len(runs.idle) <= 12

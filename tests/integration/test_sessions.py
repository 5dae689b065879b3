"""The real ONNX Runtime on small graphs: what loads, what is refused, and what a session keeps to itself."""

import hashlib
import os
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from beholder.config import Config
from beholder.embedded import Embedded
from beholder.errors import ConfigError, ScoringFailed
from beholder.runtime.device import PROOF, choose_device, this_machine
from beholder.runtime.ort import import_onnxruntime, open_session
from beholder.runtime.session import Device
from beholder.scoring.catalog import load_catalog
from beholder.scoring.load import load_scorers
from beholder.types import Score, Tensor
from scorer_folder import ENCODER, write_head, write_scorer
from server_process import environment

CPU = Device("cpu", 0, 1)
IMAGES = ["rows", "height", "width", 3]


def model(nodes: list[onnx.NodeProto], inputs: Mapping[str, object], outputs: Mapping[str, list[object]]) -> bytes:
    """Return a graph whose inputs are images (uint8) or embeddings (float32) and whose outputs are float32."""
    types = {"candidate": TensorProto.UINT8, "reference": TensorProto.UINT8}
    graph = helper.make_graph(
        nodes,
        "test",
        [
            helper.make_tensor_value_info(name, types.get(name, TensorProto.FLOAT), shape)
            for name, shape in inputs.items()
        ],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in outputs.items()],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(made, full_check=True)
    return made.SerializeToString()


def cast(name: str) -> onnx.NodeProto:
    return helper.make_node("Cast", [name], [f"{name}_f"], to=TensorProto.FLOAT)


def mean(source: str, target: str, axes: list[int]) -> onnx.NodeProto:
    return helper.make_node("ReduceMean", [source], [target], axes=axes, keepdims=0)


BRIGHTNESS = model(
    [cast("candidate"), mean("candidate_f", "score", [1, 2, 3])], {"candidate": IMAGES}, {"score": ["rows"]}
)
DIFFERENCE = model(
    [
        cast("candidate"),
        cast("reference"),
        helper.make_node("Sub", ["candidate_f", "reference_f"], ["apart"]),
        helper.make_node("Abs", ["apart"], ["distance"]),
        mean("distance", "score", [1, 2, 3]),
    ],
    {"candidate": IMAGES, "reference": IMAGES},
    {"score": ["rows"]},
)
NOT_A_NUMBER_IF_BLACK = model(
    [
        cast("candidate"),
        mean("candidate_f", "mean", [1, 2, 3]),
        helper.make_node("Div", ["mean", "mean"], ["score"]),
    ],
    {"candidate": IMAGES},
    {"score": ["rows"]},
)
COLOUR = model(
    [cast("candidate"), mean("candidate_f", "embedding", [1, 2])], {"candidate": IMAGES}, {"embedding": ["rows", 3]}
)
HEAD = model(
    [
        helper.make_node("Softmax", ["embedding"], ["labels"], axis=1),
        helper.make_node("ReduceMax", ["labels"], ["score"], axes=[1], keepdims=0),
    ],
    {"embedding": ["rows", 3]},
    {"score": ["rows"], "labels": ["rows", 3]},
)


DRAWING_SIDEWAYS = model(
    [cast("candidate"), mean("candidate_f", "score", [1, 2, 3]), mean("candidate_f", "map", [2])],
    {"candidate": IMAGES, "reference": IMAGES},
    {"score": ["rows"], "map": ["rows", "height", 3]},
)


def images(*levels: int, side_px: int = 4) -> Tensor:
    """Return grey images, one of each level."""
    return np.repeat(np.array(levels, np.uint8), side_px * side_px * 3).reshape(-1, side_px, side_px, 3)


def test_a_session_tells_its_provider_names_and_shapes() -> None:
    session = open_session("it", DIFFERENCE, CPU, {})
    assert session.provider == "CPUExecutionProvider"
    assert (session.input_names, session.output_names) == (("candidate", "reference"), ("score",))
    assert session.shapes == {"candidate": (None, None, None, 3), "reference": (None, None, None, 3), "score": (None,)}


def test_outputs_are_named_and_stay_as_they_are_when_the_session_runs_on() -> None:
    session = open_session("it", COLOUR, CPU, {})
    first = session.run({"candidate": images(7, 9)})
    session.run({"candidate": images(200, 100)})
    session.close()
    assert first["embedding"].tolist() == [[7, 7, 7], [9, 9, 9]]


def test_an_array_that_is_not_contiguous_is_read_right() -> None:
    wide = np.concatenate([images(10), images(90)], axis=2)
    assert open_session("it", BRIGHTNESS, CPU, {}).run({"candidate": wide[:, :, ::-1][:, :, :4]})["score"] == [90]


def test_a_session_does_not_keep_the_bytes_of_its_file() -> None:
    graph = bytes(bytearray(BRIGHTNESS))
    before = sys.getrefcount(graph)
    session = open_session("it", graph, CPU, {})
    assert sys.getrefcount(graph) == before
    assert session.run({"candidate": images(5)})["score"] == [5]


def test_threads_may_share_a_session() -> None:
    session = open_session("it", BRIGHTNESS, CPU, {})
    wrong: list[object] = []

    def work(level: int) -> None:
        for _ in range(50):
            score = session.run({"candidate": images(*[level] * 3, side_px=32)})["score"].tolist()
            if score != [level] * 3:
                wrong.append((level, score))

    threads = [threading.Thread(target=work, args=(level,)) for level in (1, 50, 100, 200)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


@pytest.mark.parametrize(
    "feeds",
    [
        {},
        {"candidate": images(1).astype(np.float32)},
        {"candidate": images(1)[0]},
        {"candidate": images(1), "reference": images(1)},
    ],
)
def test_inputs_that_do_not_fit_fail_the_run_and_the_session_lives_on(feeds: Mapping[str, Tensor]) -> None:
    session = open_session("it", BRIGHTNESS, CPU, {})
    with pytest.raises(ScoringFailed, match=r"^it: "):
        session.run(feeds)
    assert session.run({"candidate": images(5)})["score"] == [5]


def test_a_closed_session_fails_its_runs() -> None:
    session = open_session("it", BRIGHTNESS, CPU, {})
    session.close()
    session.close()
    with pytest.raises(ScoringFailed, match="it: the session is closed"):
        session.run({"candidate": images(1)})


@pytest.mark.parametrize("graph", [b"", b"not a graph", BRIGHTNESS[:-20], BRIGHTNESS[20:]])
def test_a_corrupt_graph_is_refused_by_name(graph: bytes) -> None:
    with pytest.raises(ConfigError, match=r"^it: ONNX Runtime does not load the graph on cpu: "):
        open_session("it", graph, CPU, {})


def test_weights_in_another_file_are_refused_even_where_it_lies_at_hand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A digest covers the graph's own bytes; a file in the working folder could hold anything."""
    vector = {name: helper.make_tensor_value_info(name, TensorProto.FLOAT, [1000]) for name in ("x", "y")}
    weight = numpy_helper.from_array(np.ones(1000, np.float32), "weight")
    add = helper.make_node("Add", ["x", "weight"], ["y"])
    graph = helper.make_graph([add], "test", [vector["x"]], [vector["y"]], [weight])
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save_model(made, tmp_path / "it.onnx", save_as_external_data=True, location="weights", size_threshold=0)
    data = (tmp_path / "it.onnx").read_bytes()
    monkeypatch.chdir(tmp_path)
    plain = import_onnxruntime().InferenceSession(data, providers=["CPUExecutionProvider"])
    assert plain.run(None, {"x": np.zeros(1000, np.float32)})[0].sum() == 1000
    with pytest.raises(ConfigError, match=r"it: .*weights"):
        open_session("it", data, CPU, {})


def test_the_cpu_takes_no_provider_options() -> None:
    with pytest.raises(ConfigError, match="it: the CPU takes no provider options, got use_tf32"):
        open_session("it", BRIGHTNESS, CPU, {"use_tf32": "1"})


def test_a_session_that_would_run_elsewhere_is_not_opened() -> None:
    if not this_machine().cuda_fault(Device("cuda", 0, 1)):
        pytest.skip("CUDA works here")
    with pytest.raises(ConfigError, match=r"^it: .*CUDAExecutionProvider"):
        open_session("it", BRIGHTNESS, Device("cuda", 0, 1), {})
    with pytest.raises(ConfigError, match="device: cuda does not work: "):
        choose_device("cuda", 0, 1)
    assert choose_device("auto", 0, 1) == CPU


@pytest.mark.gpu
def test_a_session_on_cuda_runs_there_and_agrees_with_the_cpu() -> None:
    device = choose_device("cuda", 0, 1)
    session = open_session("it", DIFFERENCE, device, {})
    feeds = {"candidate": images(7, 9), "reference": images(9, 10)}
    assert session.provider == "CUDAExecutionProvider"
    assert session.run(feeds)["score"].tolist() == pytest.approx([2, 1])


@pytest.mark.gpu
def test_an_unknown_option_of_cuda_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"it: .*no_such_option"):
        open_session("it", BRIGHTNESS, choose_device("cuda", 0, 1), {"no_such_option": "1"})


def test_the_proof_of_cuda_is_a_whole_graph_with_one_convolution() -> None:
    proof = onnx.load_from_string(PROOF)
    onnx.checker.check_model(proof)
    assert [node.op_type for node in proof.graph.node] == ["Conv"]
    ones = {name: np.full((1, 1, 1, 1), value, np.float32) for name, value in (("x", 3), ("w", 2))}
    assert open_session("proof", PROOF, CPU, {}).run(ones)["y"] == [[[[6]]]]


def test_the_standard_streams_and_the_home_folder_stay_clean(tmp_path: Path) -> None:
    """ONNX Runtime writes a telemetry database at home where it is not told otherwise, and prints its complaints."""
    (tmp_path / "graph").write_bytes(BRIGHTNESS)
    program = (
        "import sys; from beholder.errors import ConfigError;"
        "from beholder.runtime.ort import open_session; from beholder.runtime.session import Device;"
        "cpu, cuda = Device('cpu', 0, 1), Device('cuda', 0, 1); graph = open(sys.argv[1], 'rb').read();"
        "open_session('it', graph, cpu, {}).close()\n"
        "for data, device in ((b'junk', cpu), (graph, Device('cuda', 99, 1))):\n"
        "    try: open_session('it', data, device, {})\n"
        "    except ConfigError: continue\n"
        "    raise SystemExit('was opened')"
    )
    home = tmp_path / "home"
    home.mkdir()
    service = Path(sys.modules["beholder"].__file__ or "").parents[1]
    env = {"HOME": str(home), "PYTHONPATH": str(service), "PATH": os.environ["PATH"], "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(
        [sys.executable, "-c", program, tmp_path / "graph"],
        env=env,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert list(home.rglob("*")) == []


def test_scorers_load_and_score_real_graphs(tmp_path: Path) -> None:
    write_scorer(tmp_path, "brightness", BRIGHTNESS, range=[0, 255])
    write_scorer(tmp_path, "difference", DIFFERENCE, kind="FIDELITY", range=[0, 255])
    write_scorer(tmp_path, "colour", COLOUR, **ENCODER)
    labels = {"image": None, "output": {"labels": ["red", "green", "blue"], "top_labels": 1}}
    write_head(tmp_path, "tint", "colour", HEAD, tables=labels)
    loaded = load_scorers(load_catalog([tmp_path]), [], CPU, 0)
    blue = np.zeros((1, 4, 4, 3), np.uint8)
    blue[..., 2] = 200
    outputs = loaded.graphs["colour"].session.run({"candidate": blue})
    (tint,) = loaded.scorers["tint"].scores(outputs)
    assert isinstance(tint, Score)
    assert (tint.labels[0].name, round(tint.value, 6)) == ("blue", 1)
    pair = loaded.graphs["difference"].session.run({"candidate": images(9), "reference": images(6)})
    assert loaded.scorers["difference"].scores(pair) == [Score(3.0)]
    loaded.close()


def test_a_graph_that_gives_no_number_fails_that_row_only(tmp_path: Path) -> None:
    write_scorer(tmp_path, "it", NOT_A_NUMBER_IF_BLACK)
    loaded = load_scorers(load_catalog([tmp_path]), [], CPU, 0)
    first, second = loaded.scorers["it"].scores(loaded.graphs["it"].session.run({"candidate": images(0, 9)}))
    assert isinstance(first, ScoringFailed)
    assert second == Score(1.0)


def test_a_map_that_is_not_of_the_images_size_fails_with_both_sizes_and_hurts_no_plain_score(tmp_path: Path) -> None:
    drawing = {"sha256": hashlib.sha256(DRAWING_SIDEWAYS).hexdigest(), "high": 255.0, "meaning": "brightness"}
    tables = {"map": drawing}
    folder = write_scorer(tmp_path, "it", DIFFERENCE, kind="FIDELITY", range=[0, 255], tables=tables)
    (folder / "map.onnx").write_bytes(DRAWING_SIDEWAYS)
    dark, light = (np.full((4, 5, 3), level, np.uint8) for level in (6, 9))
    with Embedded(Config(models=(str(tmp_path),))) as embedded:
        [drawn] = embedded.score(light, scorers=["it"], references=dark, explain=True)
        [plain] = embedded.score(light, scorers=["it"], references=dark)
        [fits] = embedded.score(light[:, :3], scorers=["it"], references=dark[:, :3], explain=True)
    assert drawn.errors["it"].message == "it: output map: want the images' size (4, 5), got (4, 3)"
    assert isinstance(drawn.errors["it"], ScoringFailed)
    assert plain["it"] == Score(3.0)
    assert fits["it"].map


@pytest.mark.parametrize(
    ("graph", "keys", "message"),
    [
        (b"not a graph", {}, "it/model.onnx: it: ONNX Runtime does not load the graph"),
        (BRIGHTNESS, {"kind": "FIDELITY"}, "it: inputs of the graph: want candidate, reference, got candidate"),
        (COLOUR, {}, "it: outputs of the graph: want score, got embedding"),
    ],
)
def test_a_graph_that_is_not_what_its_folder_says_stops_the_start(
    tmp_path: Path, graph: bytes, keys: dict[str, object], message: str
) -> None:
    write_scorer(tmp_path, "it", graph, **keys)
    with pytest.raises(ConfigError, match=message):
        load_scorers(load_catalog([tmp_path]), [], CPU, 0)


MANY_SESSIONS = """
import sys
import numpy as np, psutil
from beholder.runtime.ort import open_session
from beholder.runtime.session import Device

graph = sys.stdin.buffer.read()
sessions = [open_session(str(number), graph, Device("cpu", 0, 1), {}) for number in range(6)]
inputs = {name: np.zeros((1, 1000, 1000, 3), np.uint8) for name in sessions[0].input_names}
before, held = psutil.Process().memory_info().rss, []
for session in sessions:
    session.run(inputs)
    held.append(psutil.Process().memory_info().rss - before)
print(held[0], held[-1])
"""


def test_sessions_take_turns_in_the_same_memory() -> None:
    """Large images to one scorer after the other need no more than to one; a process of its own measures it."""
    run = subprocess.run(
        [sys.executable, "-c", MANY_SESSIONS], input=DIFFERENCE, env=environment(), capture_output=True, check=True
    )
    first, last = map(int, run.stdout.split())
    assert first > 20e6
    assert last < 2 * first

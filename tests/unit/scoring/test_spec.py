"""What `scorer.toml` may say, and how it is told what it may not."""

import math
from pathlib import Path

import pytest

from beholder.errors import ConfigError
from beholder.scoring.spec import EncoderSpec, GraphFile, MapSpec, ScorerSpec, Spec, read_spec
from beholder.scoring.strips import Mean, Strips
from beholder.types import Direction, Kind
from scorer_folder import ENCODER, write_head, write_scorer

SHA = "0" * 64
STRIPS = {"overlap_px": 10, "of": "SCORE"}
CROP = {"op": "crop", "size_px": [8, 8]}


def scorer(folder: Path) -> ScorerSpec:
    spec = read_spec(folder)
    assert isinstance(spec, ScorerSpec)
    return spec


SMALL = [{"op": "decode_small"}, {"op": "resize", "size_px": [2, 2], "filter": "box"}]


def test_a_scorer_says_what_it_is(tmp_path: Path) -> None:
    spec = scorer(
        write_scorer(tmp_path, "sharp", kind="FIDELITY", direction="LOWER_IS_BETTER", range=[-1, 2.5], version=3)
    )
    assert (spec.name, spec.version, spec.kind, spec.direction) == (
        "sharp",
        3,
        Kind.FIDELITY,
        Direction.LOWER_IS_BETTER,
    )
    assert spec.range_ == (-1.0, 2.5)
    assert (spec.needs_reference, spec.needs_prompt) == (True, False)
    assert (spec.encoder, spec.labels, spec.top_labels, spec.default) == ("", (), 0, False)


def test_a_range_is_infinite_where_nothing_is_said(tmp_path: Path) -> None:
    assert scorer(write_scorer(tmp_path, "free", range=None)).range_ == (-math.inf, math.inf)
    assert scorer(write_scorer(tmp_path, "half", range=[0, math.inf])).range_ == (0, math.inf)


def test_batches_and_options_are_declared_per_device_and_have_defaults(tmp_path: Path) -> None:
    spec: Spec = read_spec(write_scorer(tmp_path, "a", tables={"graph.cuda": {"options": {"use_tf32": 1}}}))
    assert spec.graph.max_batch_rows == {"cpu": 8, "cuda": 64}
    assert spec.graph.options == {"cpu": {}, "cuda": {"use_tf32": "1"}}


def test_a_device_may_have_a_file_of_its_own(tmp_path: Path) -> None:
    spec = read_spec(write_scorer(tmp_path, "a", tables={"graph.cuda": {"file": "half.onnx", "sha256": SHA}}))
    assert spec.graph.file_for("cuda").path == tmp_path / "a" / "half.onnx"
    assert spec.graph.file_for("cpu").path == tmp_path / "a" / "model.onnx"


def test_an_encoder_has_no_direction(tmp_path: Path) -> None:
    spec = read_spec(write_scorer(tmp_path, "trunk", **ENCODER))
    assert isinstance(spec, EncoderSpec)
    with pytest.raises(ConfigError, match="unknown key direction"):
        read_spec(write_scorer(tmp_path, "other", **ENCODER | {"direction": "UNORDERED"}))


def test_a_head_leaves_its_images_to_its_encoder(tmp_path: Path) -> None:
    spec = scorer(write_head(tmp_path, "head", "trunk"))
    assert (spec.encoder, spec.image) == ("trunk", None)
    with pytest.raises(ConfigError, match="unknown key image"):
        read_spec(write_head(tmp_path, "other", "trunk", tables={"image": {"steps": []}}))


@pytest.mark.parametrize("kind", ["FIDELITY", "ENCODER"])
def test_what_takes_more_than_an_embedding_can_be_no_head(tmp_path: Path, kind: str) -> None:
    with pytest.raises(ConfigError, match=rf"encoder: want none, for a graph of kind {kind} takes images.*got 'trunk'"):
        read_spec(write_head(tmp_path, "head", "trunk", kind=kind))


def test_a_head_draws_no_map(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="map: want none, for what is scored is not the image as it was sent"):
        read_spec(write_head(tmp_path, "head", "trunk", tables={"image": None, "map": {"high": 1}}))


def test_a_map_has_a_graph_a_scale_and_a_meaning(tmp_path: Path) -> None:
    drawing = {"sha256": SHA, "high": 2, "meaning": "error"}
    spec = scorer(write_scorer(tmp_path, "near", tables={"map": drawing}))
    assert spec.map == MapSpec(GraphFile(tmp_path / "near" / "map.onnx", SHA), 2.0, "error")
    assert scorer(write_scorer(tmp_path, "plain")).map is None


def test_a_large_image_may_be_cut_into_strips(tmp_path: Path) -> None:
    image = {"max_mpx": 4, "min_side_px": 11, "strips": STRIPS}
    spec = scorer(write_scorer(tmp_path, "a", tables={"image": image}))
    assert spec.image
    assert spec.image.strips == Strips(10, 1, Mean.SCORE)


def test_a_side_may_have_a_limit_of_its_own(tmp_path: Path) -> None:
    limited = scorer(write_scorer(tmp_path, "a", tables={"image": {"max_side_px": 4096}}))
    plain = scorer(write_scorer(tmp_path, "b"))
    assert limited.image
    assert plain.image
    assert (limited.image.max_side_px, plain.image.max_side_px) == (4096, None)


def test_labels_come_from_the_table_or_from_a_file(tmp_path: Path) -> None:
    inline = scorer(write_scorer(tmp_path, "a", tables={"output": {"labels": ["cat", "dog"], "top_labels": 1}}))
    assert (inline.labels, inline.top_labels) == (("cat", "dog"), 1)
    folder = write_scorer(tmp_path, "b", tables={"output": {"labels_file": "labels.txt"}})
    (folder / "labels.txt").write_text("cat\ndog\n")
    assert (scorer(folder).labels, scorer(folder).top_labels) == (("cat", "dog"), 2)


def test_labels_come_from_one_place_only(tmp_path: Path) -> None:
    folder = write_scorer(tmp_path, "a", tables={"output": {"labels": ["cat"], "labels_file": "labels.txt"}})
    (folder / "labels.txt").write_text("cat\n")
    with pytest.raises(ConfigError, match=r"\[output\]: unknown key labels"):
        read_spec(folder)


def test_a_card_is_read_when_it_is_asked_for(tmp_path: Path) -> None:
    spec = read_spec(write_scorer(tmp_path, "a"))
    assert spec.card == ""
    (tmp_path / "a" / "CARD.md").write_text("# Ünited")
    assert spec.card == "# Ünited"


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"version": None}, "version is missing"),
        ({"version": 0}, "version: want a whole number from 1 to 4294967295, got 0"),
        ({"version": "1"}, "version: want int, got '1'"),
        ({"version": True}, "version: want int, got True"),
        ({"kind": "SHARPNESS"}, "kind: want one of FIDELITY, QUALITY, .*, got 'SHARPNESS'"),
        ({"direction": "UP"}, "direction: want one of HIGHER_IS_BETTER, LOWER_IS_BETTER, UNORDERED, got 'UP'"),
        ({"range": [1, 0]}, r"range: want \[lowest, highest\].*got \[1, 0\]"),
        ({"range": [0]}, r"range: want .*got \[0\]"),
        ({"range": [0, "1"]}, r"range: want .*got \[0, '1'\]"),
        ({"range": [math.nan, 1]}, r"range: want .*got \[nan, 1\]"),
        ({"direktion": "UNORDERED"}, "unknown key direktion; did you mean direction?"),
        ({"name": "other"}, "name: want the folder's name, 'it'.*got 'other'"),
        ({"default": 1}, "default: want bool, got 1"),
        ({"source": [1]}, r"source: want a list of tables, got \[1\]"),
        ({"tables": {"graph": {}}}, r"\[graph\]: sha256 is missing"),
        ({"tables": {"graph": {"sha256": "ABC"}}}, r"\[graph\]: sha256: want 64 lowercase hex digits, got 'ABC'"),
        ({"tables": {"graph.cpu": {"max_batch_rows": 0}}}, "max_batch_rows: want a whole number from 1 to 4096, got 0"),
        ({"tables": {"graph.cpu": {"sha256": SHA}}}, "unknown key sha256"),
        ({"tables": {"image": {"min_side_px": 0}}}, "min_side_px: want a whole number from 1, got 0"),
        ({"tables": {"image": {"max_mpx": 0}}}, "max_mpx: want more than 0, got 0.0"),
        (
            {"tables": {"image": {"min_side_px": 9, "max_side_px": 8}}},
            "max_side_px: want a whole number from 9, got 8",
        ),
        ({"tables": {"image": {"strips": STRIPS}}}, "strips: want none without max_mpx, and none with steps"),
        ({"tables": {"image": {"max_mpx": 1, "strips": {"of": "SCORE"}}}}, "overlap_px is missing"),
        (
            {"tables": {"image": {"max_mpx": 1, "min_side_px": 10, "strips": STRIPS}}},
            "min_side_px: want a whole number from 11, got 10",
        ),
        (
            {"tables": {"image": {"max_mpx": 1, "min_side_px": 11, "strips": STRIPS}, "output": {"labels": ["a"]}}},
            "image: want no strips where there are embeddings or labels",
        ),
        (
            ENCODER | {"tables": {"image": {"max_mpx": 1, "min_side_px": 11, "strips": STRIPS}}},
            "image: want no strips where there are embeddings or labels",
        ),
        (
            {"tables": {"image": {"steps": [CROP]}, "map": {"sha256": SHA, "high": 1, "meaning": "error"}}},
            "map: want none, for what is scored is not the image as it was sent",
        ),
        ({"kind": "FIDELITY", "tables": {"image": {"steps": SMALL}}}, "image: want no decode_small for pairs"),
        ({"tables": {"image": {"steps": SMALL, "max_mpx": 1}}}, "steps: want no decode_small with limits of size"),
        ({"tables": {"image": {"steps": SMALL[::-1]}}}, r"scorer.toml: \[image\]: steps: decode_small comes first"),
        ({"tables": {"map": {"sha256": SHA, "high": 0, "meaning": "error"}}}, "high: want more than 0, got 0.0"),
        ({"tables": {"map": {"sha256": SHA, "high": 1}}}, r"\[map\]: meaning is missing"),
        ({"tables": {"image": {"steps": [{"op": "twirl"}]}}}, r"scorer.toml: \[image\]: .*twirl"),
        ({"tables": {"image": {"steps": [1]}}}, r"scorer.toml: \[image\]: steps: want a list of tables, got \[1\]"),
        ({"tables": {"output": {"labels": ["a", "a"]}}}, r"labels: want a list of texts, each once, got \['a', 'a'\]"),
        (
            {"tables": {"output": {"labels": ["a"], "top_labels": 2}}},
            "top_labels: want a whole number from 0 to 1, got 2",
        ),
        ({"tables": {"output": {"labels_file": "none.txt"}}}, "none.txt: .*No such file"),
    ],
)
def test_a_wrong_value_is_told_with_its_file_its_key_and_what_is_wanted(
    tmp_path: Path, keys: dict[str, object], message: str
) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        read_spec(write_scorer(tmp_path, "it", **keys))
    assert str(tmp_path / "it") in str(caught.value)


@pytest.mark.parametrize("name", ["A", "a b", "a,b", "-a", "a..b"])
def test_a_name_can_be_written_in_any_list_or_path(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match="of a-z, 0-9"):
        read_spec(write_scorer(tmp_path, name))


def test_a_file_that_is_no_toml_or_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none/scorer.toml: .*No such file"):
        read_spec(tmp_path / "none")
    folder = write_scorer(tmp_path, "a")
    (folder / "scorer.toml").write_text("name = ")
    with pytest.raises(ConfigError, match=r"a/scorer.toml: Invalid value"):
        read_spec(folder)
    (folder / "scorer.toml").write_bytes(b"\xff")
    with pytest.raises(ConfigError, match=r"a/scorer.toml: .*utf-8"):
        read_spec(folder)

"""Scorers, encoders and panels are found by name, and names that are not there get the nearest that are."""

from pathlib import Path

import pytest

from beholder.errors import ConfigError, InvalidSample, ScorerNotFound
from beholder.scoring.catalog import Catalog, load_catalog, shipped_models
from scorer_folder import ENCODER, write_head, write_scorer


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    for name in ("sharpness", "colour", "noise"):
        write_scorer(tmp_path, name)
    (tmp_path / "panels.toml").write_text('[panels]\nlook = ["noise", "colour"]\n')
    return load_catalog([tmp_path])


def test_every_folder_with_a_scorer_file_is_registered_but_hidden_ones(tmp_path: Path) -> None:
    write_scorer(tmp_path, "sharpness")
    write_scorer(tmp_path, "trunk", **ENCODER)
    write_scorer(tmp_path, "_draft")
    write_scorer(tmp_path, ".hidden")
    (tmp_path / "notes").mkdir()
    (tmp_path / "README.md").write_text("")
    catalog = load_catalog([tmp_path])
    assert (list(catalog.scorers), list(catalog.encoders)) == (["sharpness"], ["trunk"])


def test_scorers_of_several_folders_come_together_and_may_share_panels_and_encoders(tmp_path: Path) -> None:
    write_scorer(tmp_path / "a", "trunk", **ENCODER)
    write_scorer(tmp_path / "a", "sharpness")
    write_head(tmp_path / "b", "taste", "trunk")
    (tmp_path / "b" / "panels.toml").write_text('[panels]\nboth = ["taste", "sharpness"]\n')
    catalog = load_catalog([tmp_path / "a", tmp_path / "b"])
    assert [spec.name for spec in catalog.resolve([], "both")] == ["taste", "sharpness"]


def test_names_are_resolved_in_the_order_asked(catalog: Catalog) -> None:
    assert [spec.name for spec in catalog.resolve(["noise", "sharpness"], "")] == ["noise", "sharpness"]
    assert [spec.name for spec in catalog.resolve([], "look")] == ["noise", "colour"]


@pytest.mark.parametrize(("scorers", "panel", "found"), [([], "", "neither"), (["noise"], "look", "both")])
def test_a_request_names_scorers_or_a_panel(catalog: Catalog, scorers: list[str], panel: str, found: str) -> None:
    with pytest.raises(InvalidSample, match=f"either scorer names or a panel, got {found}") as caught:
        catalog.resolve(scorers, panel)
    assert caught.value.field == "scorers"


def test_a_scorer_asked_twice_is_named(catalog: Catalog) -> None:
    with pytest.raises(InvalidSample, match="want each scorer once, got 'noise' twice") as caught:
        catalog.resolve(["noise", "colour", "noise"], "")
    assert caught.value.field == "scorers[2]"


def test_an_unknown_scorer_is_answered_with_the_nearest_name(catalog: Catalog) -> None:
    with pytest.raises(ScorerNotFound, match=r"no scorer 'sharpnes'; did you mean sharpness\?") as caught:
        catalog.resolve(["noise", "sharpnes"], "")
    assert caught.value.field == "scorers[1]"


def test_an_unknown_scorer_like_no_other_is_answered_with_all_names(catalog: Catalog) -> None:
    with pytest.raises(ScorerNotFound, match="no scorer 'xyz'; there are: colour, noise, sharpness"):
        catalog.scorer("xyz")


def test_an_unknown_panel_is_answered_with_the_nearest_name(catalog: Catalog) -> None:
    with pytest.raises(ScorerNotFound, match=r"no panel 'lok'; did you mean look\?") as caught:
        catalog.resolve([], "lok")
    assert caught.value.field == "panel"


def test_folders_without_any_scorer_stop_the_start_and_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=f"scorer.toml; none is in {tmp_path} and {tmp_path}"):
        load_catalog([tmp_path, tmp_path])


def test_where_there_are_no_panels_the_answer_says_so(tmp_path: Path) -> None:
    write_scorer(tmp_path, "sharpness")
    with pytest.raises(ScorerNotFound, match="no panel 'look'; there are none"):
        load_catalog([tmp_path]).resolve([], "look")


def test_a_name_that_comes_twice_stops_the_start_and_names_both(tmp_path: Path) -> None:
    write_scorer(tmp_path / "a", "noise")
    write_scorer(tmp_path / "b", "noise", **ENCODER)
    with pytest.raises(ConfigError, match=r"noise comes twice: in .*/a/noise and .*/b/noise"):
        load_catalog([tmp_path / "a", tmp_path / "b"])


def test_a_panel_that_comes_twice_stops_the_start_and_names_both(tmp_path: Path) -> None:
    for folder in (tmp_path / "a", tmp_path / "b"):
        write_scorer(folder, f"of-{folder.name}")
        (folder / "panels.toml").write_text(f'[panels]\nlook = ["of-{folder.name}"]\n')
    with pytest.raises(ConfigError, match=r"panel look comes twice: in .*/a/panels.toml and .*/b/panels.toml"):
        load_catalog([tmp_path / "a", tmp_path / "b"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('look = ["noise"]', "unknown key look"),
        ("[panels]\nlook = []", "look: want at least one scorer"),
        ('[panels]\nlook = "noise"', "look: want list, got 'noise'"),
        ('[panels]\nlook = ["noise", "noise"]', "look: want a list of texts, each once"),
        ('[panels]\nlook = ["nois"]', r"look: no scorer 'nois'; did you mean noise\?"),
        ("[panels", "panels.toml"),
    ],
)
def test_a_wrong_panel_stops_the_start(tmp_path: Path, text: str, message: str) -> None:
    write_scorer(tmp_path, "noise")
    (tmp_path / "panels.toml").write_text(text)
    with pytest.raises(ConfigError, match=message) as caught:
        load_catalog([tmp_path])
    assert str(tmp_path / "panels.toml") in str(caught.value)


def test_a_head_of_an_unknown_encoder_stops_the_start(tmp_path: Path) -> None:
    write_scorer(tmp_path, "trunk", **ENCODER)
    write_head(tmp_path, "taste", "trunc")
    with pytest.raises(ConfigError, match=r"taste/scorer.toml: encoder: no encoder 'trunc'; did you mean trunk\?"):
        load_catalog([tmp_path])


def test_a_scorers_own_folder_is_not_a_folder_of_scorers(tmp_path: Path) -> None:
    folder = write_scorer(tmp_path, "noise")
    with pytest.raises(ConfigError, match=f"is one scorer's folder; give the folder around it, {tmp_path}"):
        load_catalog([folder])


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"can't read .*/none: No such file"):
        load_catalog([tmp_path / "none"])


def test_the_shipped_scorers_are_found_beside_the_service(repo: Path) -> None:
    assert shipped_models() == repo / "models"
    assert {"ssim", "psnr"} <= set(load_catalog([shipped_models()]).scorers)

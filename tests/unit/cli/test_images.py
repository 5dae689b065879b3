"""Which images a command line means."""

from collections.abc import Iterable
from pathlib import Path

import click
import pytest

from beholder.cli.images import Found, find_images, reference_for


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("b.png", "a.JPG", "deep/c.webp", "notes.txt", ".hidden.png", ".cache/d.png", "deep/e.gif"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


@pytest.fixture
def references(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("references")


def names(found: Iterable[Found], folder: Path) -> list[str]:
    return [str(image.path.relative_to(folder)) for image in found]


def test_a_folder_is_all_images_in_it_sorted(folder: Path) -> None:
    assert names(find_images([str(folder)]), folder) == ["a.JPG", "b.png", "deep/c.webp"]


def test_a_file_is_taken_whatever_it_is_called(folder: Path) -> None:
    assert names(find_images([str(folder / "notes.txt"), str(folder / ".hidden.png")]), folder) == [
        "notes.txt",
        ".hidden.png",
    ]


def test_an_empty_name_is_not_the_folder_one_is_in(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    with pytest.raises(click.UsageError, match="got an empty name"):
        find_images([""])


def test_a_file_that_is_not_there_is_left_for_its_result_to_tell(folder: Path) -> None:
    assert names(find_images([str(folder / "gone.png")]), folder) == ["gone.png"]


def test_a_glob_is_matched_here_where_the_shell_has_not(folder: Path) -> None:
    assert names(find_images([str(folder / "**" / "*.*")]), folder) == [
        "a.JPG",
        "b.png",
        "deep/c.webp",
        "deep/e.gif",
        "notes.txt",
    ]


def test_a_file_with_a_glob_sign_in_its_name_is_that_file(folder: Path) -> None:
    (folder / "b[1].png").touch()
    assert names(find_images([str(folder / "b[1].png")]), folder) == ["b[1].png"]


def test_an_image_named_twice_is_scored_once(folder: Path) -> None:
    found = find_images([str(folder / "b.png"), str(folder)])
    assert names(found, folder) == ["b.png", "a.JPG", "deep/c.webp"]


def test_order_is_that_of_the_command_line(folder: Path) -> None:
    found = find_images([str(folder / "deep"), str(folder / "a.JPG")])
    assert names(found, folder) == ["deep/c.webp", "a.JPG"]


def test_a_folder_without_images_is_an_error_of_the_command(tmp_path: Path) -> None:
    with pytest.raises(click.UsageError, match=r"no image in .* \(of \.jpeg, \.jpg, \.png, \.webp\)"):
        find_images([str(tmp_path)])


def test_a_glob_without_matches_is_an_error_of_the_command(tmp_path: Path) -> None:
    with pytest.raises(click.UsageError, match=r"no file matches .*\*\.jpg"):
        find_images([str(tmp_path / "*.jpg")])


def test_one_reference_is_for_all(folder: Path) -> None:
    reference = folder / "b.png"
    assert {reference_for(image, reference) for image in find_images([str(folder)])} == {reference}


def test_a_folder_of_references_is_matched_by_path_inside_the_folder(folder: Path, references: Path) -> None:
    (references / "deep").mkdir()
    for name in ("a.JPG", "b.png", "deep/c.webp"):
        (references / name).touch()
    matched = [reference_for(image, references) for image in find_images([str(folder)])]
    assert matched == [references / "a.JPG", references / "b.png", references / "deep/c.webp"]


def test_a_reference_of_another_suffix_is_found(folder: Path, references: Path) -> None:
    for name in ("a.png", "a.txt", "ab.png"):
        (references / name).touch()
    (image,) = find_images([str(folder / "a.JPG")])
    assert reference_for(image, references) == references / "a.png"


def test_a_reference_that_is_not_there_is_left_for_its_result_to_tell(folder: Path, references: Path) -> None:
    (image,) = find_images([str(folder / "b.png")])
    assert reference_for(image, references) == references / "b.png"

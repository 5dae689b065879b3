"""What an operator's file of opinions may say, and what is said of its wrong lines."""

import os
from pathlib import Path

import pytest

from beholder.errors import ConfigError
from beholder.taste import ratings
from beholder.taste.crowd import Pair, Rating
from beholder.taste.ratings import Told, read_ratings


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    images = tmp_path / "images"
    (images / "cats").mkdir(parents=True)
    for name in ("a.png", "b.png", "cats/c d.jpg", "ä,ö.png"):
        (images / name).touch()
    (tmp_path / "secret.png").touch()
    return images


def read(folder: Path, text: str | bytes) -> Told:
    path = folder.parent / "ratings.csv"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return read_ratings(path, folder)


def test_ratings_are_read(folder: Path) -> None:
    told = read(folder, 'image,rating,person\na.png,4.5,ann\n"ä,ö.png",-1e2,\ncats/c d.jpg,.5, bob \n')
    assert told.ratings == [
        Rating("a.png", 4.5, "ann"),
        Rating("ä,ö.png", -100, ""),
        Rating("cats/c d.jpg", 0.5, "bob"),
    ]
    assert (told.pairs, told.problems) == ([], [])
    assert told.images == ["a.png", "cats/c d.jpg", "ä,ö.png"]


def test_pairs_are_read(folder: Path) -> None:
    told = read(folder, "better,worse,tie,person\na.png,b.png,,ann\nb.png,a.png,1,bob\na.png,cats/c d.jpg,no,\n")
    assert told.pairs == [
        Pair("a.png", "b.png", False, "ann"),
        Pair("b.png", "a.png", True, "bob"),
        Pair("a.png", "cats/c d.jpg"),
    ]
    assert (told.ratings, told.problems) == ([], [])


@pytest.mark.parametrize(
    "text",
    [
        "image,rating\na.png,1\nb.png,2\n",
        "\ufeffimage,rating\r\na.png,1\r\nb.png,2\r\n",
        "Rating , IMAGE\n1,a.png\n\n 2 , ./b.png\n",
        'image,rating\n"a.png","1"\ncats/../b.png,+2.0',
    ],
)
def test_the_usual_forms_of_csv_are_one(folder: Path, text: str) -> None:
    assert read(folder, text).ratings == [Rating("a.png", 1.0), Rating("b.png", 2.0)]


@pytest.mark.parametrize(
    "header",
    [
        "",
        "image",
        "image;rating",
        "a.png,1",
        "image,rating,age",
        "image,rating,rating",
        "image,rating,tie",
        "better,worse,rating",
    ],
)
def test_another_header_is_refused(folder: Path, header: str) -> None:
    with pytest.raises(
        ConfigError, match=r"ratings\.csv: want the header image,rating\[,person\] or better,worse"
    ) as caught:
        read(folder, f"{header}\na.png,1\n")
    assert "got" in caught.value.message


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("a.png", "want 3 values, image,rating,person, got 1"),
        ("a.png,1,ann,more", "want 3 values, image,rating,person, got 4"),
        ("a.png,good,ann", "rating: want a number from -1e+09 to 1e+09, got 'good'"),
        ("a.png,,ann", "rating: want a number from -1e+09 to 1e+09, got ''"),
        ("a.png,nan,ann", "rating: want a number from -1e+09 to 1e+09, got 'nan'"),
        ("a.png,inf,ann", "rating: want a number from -1e+09 to 1e+09, got 'inf'"),
        ("a.png,1e400,ann", "rating: want a number from -1e+09 to 1e+09, got '1e400'"),
        ("a.png,1_0,ann", "rating: want a number from -1e+09 to 1e+09, got '1_0'"),
        ("a.png,0x1,ann", "rating: want a number from -1e+09 to 1e+09, got '0x1'"),
        ('a.png,"4,5",ann', "rating: want a number from -1e+09 to 1e+09, got '4,5'"),
        (",1,ann", "want the path of an image, got ''"),
        ("gone.png,1,ann", "no image 'gone.png' in the folder"),
        ("cats,1,ann", "no image 'cats' in the folder"),
        ("../secret.png,1,ann", "want an image in the folder, '../secret.png' leads out of it"),
        ("/etc/passwd,1,ann", "want an image in the folder, '/etc/passwd' leads out of it"),
        ("a\x00.png,1,ann", r"want the path of an image, got 'a\x00.png'"),
        ("a.png,1,an\x1b[31mn", "person: want at most 200 printable characters, got 'an"),
        (f"a.png,1,{'x' * 201}", "person: want at most 200 printable characters, got 'xxx"),
        (f"{'x' * 5000},1,ann", "no image 'xxx"),
    ],
)
def test_a_wrong_line_is_told_by_its_number_and_the_others_count(folder: Path, line: str, problem: str) -> None:
    told = read(folder, f"image,rating,person\na.png,1,bob\n{line}\nb.png,2,bob\n")
    assert [one.image for one in told.ratings] == ["a.png", "b.png"]
    assert len(told.problems) == 1
    assert told.problems[0].startswith(f"line 3: {problem}")
    assert len(told.problems[0]) < 250
    assert told.problems[0].isprintable()


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("a.png,./a.png,", "want two images, got 'a.png' twice"),
        ("a.png,b.png,maybe", "tie: want 0 or 1, got 'maybe'"),
        ("a.png,gone.png,", "no image 'gone.png' in the folder"),
    ],
)
def test_a_wrong_pair_is_told_by_its_number(folder: Path, line: str, problem: str) -> None:
    told = read(folder, f"better,worse,tie\na.png,b.png,\n{line}\n")
    assert told.problems == [f"line 3: {problem}"]
    assert told.pairs == [Pair("a.png", "b.png")]


def test_a_link_leads_nowhere_else(folder: Path) -> None:
    os.symlink(folder.parent / "secret.png", folder / "link.png")
    os.symlink(folder / "circle.png", folder / "circle.png")
    os.symlink(folder / "a.png", folder / "same.png")
    told = read(folder, "image,rating\nlink.png,1\ncircle.png,1\nsame.png,1\n")
    assert told.ratings == [Rating("a.png", 1.0)]
    assert "leads out of it" in told.problems[0]
    assert "no image 'circle.png' in the folder" in told.problems[1]


def test_who_says_it_again_is_heard_the_last_time(folder: Path) -> None:
    told = read(folder, "image,rating,person\na.png,1,ann\na.png,2,bob\n./a.png,3,ann\na.png,4,\na.png,5,\n")
    assert sorted(told.ratings, key=lambda one: one.value) == [
        Rating("a.png", 2, "bob"),
        Rating("a.png", 3, "ann"),
        Rating("a.png", 4),
        Rating("a.png", 5),
    ]
    assert told.problems == ["line 2: 'ann' says it again in line 4, which counts"]
    turned = read(folder, "better,worse,person\na.png,b.png,ann\nb.png,a.png,ann\n")
    assert turned.pairs == [Pair("b.png", "a.png", False, "ann")]


def test_a_file_of_nothing_is_refused(folder: Path) -> None:
    for text in ("image,rating\n", "image,rating\n\n\n"):
        with pytest.raises(ConfigError, match=r"ratings\.csv: no line of it counts$"):
            read(folder, text)
    with pytest.raises(ConfigError, match=r"no line of it counts: line 2: no image 'gone\.png'"):
        read(folder, "image,rating\ngone.png,1\ngone.png,2\n")


def test_what_is_no_csv_is_refused(folder: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.csv: can't be read: No such file"):
        read_ratings(folder / "nowhere.csv", folder)
    with pytest.raises(ConfigError, match="can't be read: Is a directory"):
        read_ratings(folder, folder)
    with pytest.raises(ConfigError, match="can't be read: 'utf-8' codec"):
        read(folder, b"image,rating\n\xff\xfe.png,1\n")
    with pytest.raises(ConfigError, match="line 2: field larger than field limit"):
        read(folder, "image,rating\n" + "x" * 200_000 + ",1\n")


def test_an_open_quote_takes_no_more_than_a_field(folder: Path) -> None:
    with pytest.raises(ConfigError, match="field larger than field limit"):
        read(folder, 'image,rating\n"a.png,1\n' + "b.png,2\n" * 50_000)


def test_there_is_a_limit_of_lines(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ratings, "MAX_LINES", 100)
    lines = "image,rating\n" + "a.png,1\n" * 99
    assert len(read(folder, lines).ratings) == 99
    with pytest.raises(ConfigError, match="more than 100 lines; that is the limit"):
        read(folder, lines + "a.png,1\n")

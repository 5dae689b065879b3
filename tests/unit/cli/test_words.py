"""Options that take all words up to the next one, as the shell expands globs."""

import click
import pytest
from click.testing import CliRunner

from beholder.cli.words import Words, WordsCommand, bare_option, spread

NAMES = {"--like", "--dislike", "-l"}


@pytest.mark.parametrize(
    ("line", "spaced"),
    [
        ("", ""),
        ("ann", "ann"),
        ("ann --like a", "ann --like a"),
        ("ann --like a b --dislike c d", "ann --like a --like b --dislike c --dislike d"),
        ("ann --like a --like b c", "ann --like a --like b --like c"),
        ("ann --like a b --encoder e", "ann --like a --like b --encoder e"),
        ("ann --like a --json b", "ann --like a --json b"),
        ("ann --like=a b", "ann --like a --like b"),
        ("ann --like a=b c", "ann --like a=b --like c"),
        ("ann -l a b", "ann -l a -l b"),
        ("ann --like -1=a .5=b -.5=c", "ann --like -1=a --like .5=b --like -.5=c"),
        ("ann --like a -- b --like c", "ann --like a -- b --like c"),
        ("ann --like - b", "ann --like - --like b"),
    ],
)
def test_an_option_is_repeated_before_each_of_its_words(line: str, spaced: str) -> None:
    assert spread(line.split(), NAMES) == spaced.split()


def test_a_word_with_a_space_stays_one_word() -> None:
    assert spread(["--like", "my photo.jpg", ""], NAMES) == ["--like", "my photo.jpg", "--like", ""]


@pytest.mark.parametrize(
    ("line", "bare"),
    [
        ("--like", "--like"),
        ("--like --dislike a", "--like"),
        ("--like a --dislike", "--dislike"),
        ("--like -- a", "--like"),
        ("--like a --json", ""),
        ("--like -1=a", ""),
        ("--json", ""),
    ],
)
def test_an_option_without_words_is_found(line: str, bare: str) -> None:
    assert bare_option(line.split(), NAMES) == bare


@click.command(cls=WordsCommand)
@click.argument("name")
@click.option("--like", cls=Words)
@click.option("--json", is_flag=True)
def command(name: str, like: tuple[str, ...], json: bool) -> None:
    click.echo(f"{name} {like} {json}")


def test_a_command_gets_all_words_as_one_tuple() -> None:
    run = CliRunner().invoke
    assert run(command, ["ann", "--like", "a", "b", "--json", "--like", "c"]).output == "ann ('a', 'b', 'c') True\n"
    assert run(command, ["--like", "a", "--json", "ann"]).output == "ann ('a',) True\n"
    assert run(command, ["ann"]).output == "ann () False\n"


def test_a_command_tells_of_an_option_without_words() -> None:
    said = CliRunner().invoke(command, ["ann", "--like", "--json"])
    assert (said.exit_code, "Option '--like' requires an argument." in said.output) == (2, True)

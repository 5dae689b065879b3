"""Options that take as many words as the shell makes of a glob: `--like a/*.jpg --dislike b/*.jpg`.

click has no such option; each word gets the option's name before click sees it.
"""

import re
from collections.abc import Collection, Sequence
from typing import Any

import click

NEGATIVE = re.compile(r"-\.?\d")


class Words(click.Option):
    """An option that takes all words up to the next option, given once or often; a tuple of all."""

    def __init__(self, *names: Any, **attributes: Any) -> None:
        super().__init__(*names, **attributes | {"multiple": True})


class WordsCommand(click.Command):
    """A command of which some options are `Words`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the command line."""
        names = {name for param in self.params if isinstance(param, Words) for name in param.opts}
        bare = bare_option(args, names)
        if bare and not ctx.resilient_parsing:
            raise click.BadOptionUsage(bare, f"Option {bare!r} requires an argument.", ctx)
        return super().parse_args(ctx, spread(args, names))


def spread(words: Sequence[str], names: Collection[str]) -> list[str]:
    """Return a command line with each of these options repeated before each of its words."""
    spaced, current = list[str](), ""
    for place, word in enumerate(words):
        if word == "--":
            return [*spaced, *words[place:]]
        name, equals, value = word.partition("=")
        if name in names:
            current = name
            spaced += [name, value] if equals else []
        elif is_option(word):
            current = ""
            spaced.append(word)
        else:
            spaced += [current, word] if current else [word]
    return spaced


def bare_option(words: Sequence[str], names: Collection[str]) -> str:
    """Return the first of these options that has no word; empty where all have."""
    ends = (*words[1:], "--")
    return next((word for word, after in zip(words, ends, strict=False) if word in names and is_option(after)), "")


def is_option(word: str) -> bool:
    """Tell an option from a word; a negative number is a word."""
    return len(word) > 1 and word.startswith("-") and not NEGATIVE.match(word)

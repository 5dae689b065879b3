"""`beholder taste`: the group of all commands about tastes."""

import click

from beholder.cli.taste_ask import ask, compare, suggest
from beholder.cli.taste_keep import delete, export, import_, list_, move, show
from beholder.cli.taste_statistics import background, prior
from beholder.cli.taste_tell import add, forget, new


@click.group()
def taste() -> None:
    """Learn what somebody likes, and ask it.

    \b
    beholder taste new ann --like good/*.jpg --dislike bad/*.jpg
    beholder taste ask ann candidates/        best first, with how sure that is
    beholder taste suggest ann candidates/    which two to show ann next
    beholder taste add ann --better a.png --worse b.png
    beholder taste show ann                   what it was told, what it learned
    beholder score photo.jpg --taste ann      beside any other scorer

    The server has to keep tastes: start it with BEHOLDER_TASTE_STORE=tastes.db.
    """


for command in (add, ask, background, compare, delete, export, forget, import_, list_, move, new, prior, show, suggest):
    taste.add_command(command)

"""The `beholder` command: its group, and how whatever goes wrong becomes one line and an exit code.

0 done · 1 something failed (an image, a server that does not answer) · 2 the command or a setting is wrong · 130 Ctrl-C
"""

import os
import platform
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version

import click
from click.shell_completion import get_completion_class

from beholder.cli.bench import bench
from beholder.cli.compare import compare
from beholder.cli.export import export
from beholder.cli.load import load
from beholder.cli.rank import rank
from beholder.cli.score import score
from beholder.cli.scorers import scorers
from beholder.cli.serve import serve
from beholder.cli.taste import taste
from beholder.errors import BeholderError, ConfigError, InputError

PROGRAM = "beholder"
COMPLETE_VAR = "_BEHOLDER_COMPLETE"


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def beholder() -> None:
    """Scores images the way people see them.

    \b
    beholder serve                            a server on 127.0.0.1:50051
    beholder score photo.jpg                  how good, how safe, what it shows
    beholder score photos/ --json             a folder, one line per image
    beholder score photo.jpg --embedded       without a server
    beholder compare original.png small.jpg   how near; --map draws where not
    beholder rank *.png --scorers open-nsfw   from best to worst
    beholder scorers open-nsfw                what it measures, and where it fails
    beholder taste new ann --like good/*.jpg  learn what ann likes
    beholder taste ask ann new/               best first, with how sure that is
    beholder load --slo p99=50ms              the rate that a server holds

    Every command has --help. Settings are read from BEHOLDER_* too; see `beholder serve --help`.
    """


@beholder.command("version")
def version_() -> None:
    """Print the versions that scores depend on."""
    click.echo(f"{PROGRAM} {version('beholder')}")
    click.echo(f"python {platform.python_version()}")
    for package in ("grpcio", "numpy", "onnxruntime", "onnxruntime-gpu", "pillow", "protobuf", "simplejpeg"):
        try:
            click.echo(f"{package} {version(package)}")
        except PackageNotFoundError:
            continue


@beholder.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print a script for your shell to complete words.

    \b
    bash: beholder completion bash > ~/.local/share/bash-completion/completions/beholder
    zsh:  beholder completion zsh > a file _beholder in a folder of $fpath
    fish: beholder completion fish > ~/.config/fish/completions/beholder.fish
    """
    kind = get_completion_class(shell)
    assert kind is not None  # noqa: S101  click knows all three
    click.echo(kind(beholder, {}, PROGRAM, COMPLETE_VAR).source())


for command in (bench, compare, export, load, rank, score, scorers, serve, taste):
    beholder.add_command(command)


def run(argv: Sequence[str], environ: Mapping[str, str]) -> int:
    """Run one command and return its exit code; `environ` is where settings are read from."""
    try:
        code = beholder.main(list(argv) or ["--help"], PROGRAM, COMPLETE_VAR, standalone_mode=False, obj=environ)
        sys.stdout.flush()
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return 2
    except click.UsageError as error:
        path = error.ctx.command_path if error.ctx else _path(argv)
        return _fail(f"{_sentence(error.format_message())}; try: {path} --help", 2)
    except click.ClickException as error:
        return _fail(error.format_message(), error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        return 130
    except BrokenPipeError:
        # Whoever read our output has enough; what is still buffered has nowhere to go.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except BeholderError as error:
        return _fail(error.message, 2 if isinstance(error, ConfigError | InputError) else 1)
    return code if isinstance(code, int) else 0


def _path(argv: Sequence[str]) -> str:
    """Return the command that is typed, for errors that don't know theirs."""
    command: click.Command = beholder
    for place, word in enumerate(argv):
        if not isinstance(command, click.Group) or word not in command.commands:
            return " ".join([PROGRAM, *argv[:place]])
        command = command.commands[word]
    return " ".join([PROGRAM, *argv])


def _fail(message: str, code: int) -> int:
    click.echo(f"{PROGRAM}: {message}", err=True)
    return code


def _sentence(text: str) -> str:
    return text[:1].lower() + text[1:].rstrip(".")

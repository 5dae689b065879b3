"""The README says what happens: its code runs, its commands work, its output is what comes out.

```python   run in order in one namespace; a ```text block right after it is what it prints.
```console  `$ beholder …` is run, and the lines after it are what it prints (`...` stands for anything);
            of `$ make VERB` the verb has to exist; other programs are not run, and named in `NOT_RUN`.
```toml     is a scorer.toml that the service reads.
127.0.0.1:50051 stands for the server of the tests.
"""

import contextlib
import doctest
import io
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from beholder.scoring.spec import read_spec
from server_process import REPO, ServerProcess, environment

README = REPO / "README.md"
ADDRESS = "127.0.0.1:50051"
NOT_RUN = ("git", "cd", ".", "pip", "docker", "kubectl", "curl", "grpcurl", "buf", "beholder serve", "beholder export")
FENCE = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
Shell = Callable[[str], subprocess.CompletedProcess[str]]
SAME = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


@dataclass(frozen=True)
class Block:
    """A fenced block, and whether only blank lines part it from the one before."""

    language: str
    text: str
    line: int
    follows: bool


@dataclass(frozen=True)
class Command:
    """A `$ ` line of a console block, with the output shown under it."""

    line: str
    output: str


def blocks(*languages: str) -> list[Block]:
    """Return the README's blocks in these languages; all of them where none is named."""
    text = README.read_text(encoding="utf-8")
    found, end = [], 0
    for match in FENCE.finditer(text):
        line = text.count("\n", 0, match.start()) + 1
        found.append(Block(match[1], match[2], line, not text[end : match.start()].strip()))
        end = match.end()
    return [block for block in found if not languages or block.language in languages]


def commands() -> list[Command]:
    """Return the commands of all console blocks."""
    found = []
    for block in blocks("console"):
        text = block.text.replace("\\\n", " ")
        assert text.startswith("$ "), f"README.md:{block.line}: a console block begins with a `$ ` line"
        for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
            line, _, output = part.partition("\n")
            found.append(Command(line.strip().replace(".venv/bin/", ""), output))
    return found


def program_of(command: Command) -> str:
    """Return what decides how a command is checked: its first word, two for `beholder`."""
    words = shlex.split(command.line, comments=True)
    return " ".join(words[: 2 if words[0] == "beholder" else 1])


def same(wanted: str, got: str) -> bool:
    """Tell whether output is what the README shows."""
    return doctest.OutputChecker().check_output(wanted, got, SAME)


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the checkout's images in it, where what the README writes litters nothing."""
    folder = tmp_path_factory.mktemp("clone")
    (folder / "tests").symlink_to(REPO / "tests")
    return folder


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory, server: ServerProcess, clone: Path) -> Shell:
    """Return a function that runs a line in a shell whose `beholder` is this checkout's."""
    folder = tmp_path_factory.mktemp("bin")
    script = folder / "beholder"
    script.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m beholder "$@"\n')
    script.chmod(0o755)
    env = environment(address=server.address) | {"COLUMNS": "120", "NO_COLOR": "1"}
    env["PATH"] = f"{folder}:{env['PATH']}"

    def run(line: str) -> subprocess.CompletedProcess[str]:
        line = line.replace(ADDRESS, server.address)
        return subprocess.run(["sh", "-c", line], env=env, cwd=clone, capture_output=True, text=True, timeout=120)

    return run


def test_the_readme_has_code_and_commands() -> None:
    assert blocks("python")
    assert any(command.line.startswith("beholder score") for command in commands())


def test_python_blocks_run_in_order_and_print_what_is_shown(
    server: ServerProcess, monkeypatch: pytest.MonkeyPatch, clone: Path
) -> None:
    monkeypatch.chdir(clone)
    namespace: dict[str, object] = {"__name__": "readme"}
    printed = ""
    for before, block in zip([None, *blocks()], blocks(), strict=False):
        if block.language == "python":
            code = compile("\n" * block.line + block.text.replace(ADDRESS, server.address), str(README), "exec")
            with contextlib.redirect_stdout(io.StringIO()) as stdout:
                exec(code, namespace)  # noqa: S102 - running it is the test
            printed = stdout.getvalue()
        elif block.language == "text" and block.follows and before and before.language == "python":
            assert same(block.text, printed), f"README.md:{block.line} shows\n{block.text}\nbut it prints\n{printed}"


@pytest.mark.parametrize("command", commands(), ids=lambda command: command.line)
def test_a_command_does_what_is_shown(command: Command, shell: Shell, server: ServerProcess) -> None:
    program = program_of(command)
    if program in NOT_RUN:
        return
    if program == "make":
        verbs = re.findall(r"^([a-z-]+):", (REPO / "Makefile").read_text(), re.MULTILINE)
        unknown = [word for word in shlex.split(command.line)[1:] if "=" not in word and word not in verbs]
        assert not unknown, f"the Makefile has no {unknown}"
        return
    assert program.startswith("beholder"), f"{program}: neither run here nor in NOT_RUN"
    done = shell(command.line)
    assert done.returncode == 0, done.stderr
    shown = command.output.replace(ADDRESS, server.address)
    assert not shown.strip() or same(shown, done.stdout), f"shown:\n{shown}\nprinted:\n{done.stdout}"


@pytest.mark.parametrize("block", blocks("toml"), ids=lambda block: f"line {block.line}")
def test_a_scorer_folder_can_be_what_is_shown(block: Block, tmp_path: Path) -> None:
    name = tomllib.loads(block.text)["name"]
    (tmp_path / name).mkdir()
    (tmp_path / name / "scorer.toml").write_text(block.text)
    assert read_spec(tmp_path / name).name == name


def test_files_that_the_readme_links_to_exist() -> None:
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", README.read_text(encoding="utf-8"))
    assert not [link for link in links if not Path(REPO / link).exists()]

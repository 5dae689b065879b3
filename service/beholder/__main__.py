"""`python -m beholder` and the `beholder` command: the one place that reads argv and the environment."""

import os
import sys

from beholder.runtime.malloc import keep_freed


def main() -> None:
    """Run the command line and exit with its code."""
    from beholder.cli.main import run  # here, for `member` has no use for it

    keep_freed(os.environ)
    sys.exit(run(sys.argv[1:], os.environ))


def member(descriptor: int) -> None:
    """Be one of the processes that a server starts; `descriptor` is a socket with the parent at its other end."""
    from beholder import several

    keep_freed(os.environ)
    several.member(descriptor)


if __name__ == "__main__":
    main()

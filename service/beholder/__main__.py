"""`python -m beholder` and the `beholder` command: the one place that reads argv and the environment."""

import os
import sys

from beholder.cli.main import run
from beholder.runtime.malloc import keep_freed


def main() -> None:
    """Run the command line and exit with its code."""
    keep_freed(os.environ)
    sys.exit(run(sys.argv[1:], os.environ))


if __name__ == "__main__":
    main()

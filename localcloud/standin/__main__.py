"""`python -m localcloud.standin`: build the stand-in ISO and print where it is."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from failback.errors import StandinError
from localcloud.standin.build import build_standin
from localcloud.standin.recipe import SIZES

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(arguments: Sequence[str]) -> int:
    """Parse the command line, build, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m localcloud.standin", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("build/standin"), help="folder for ISO and cache")
    parser.add_argument(
        "--size", choices=sorted(SIZES), default="small", help="real: as large as AWS's ISO, for measuring"
    )
    chosen = parser.parse_args(arguments)
    try:
        iso = build_standin(
            chosen.out, size=chosen.size, progress=lambda text: print(f"... {text}", file=sys.stderr, flush=True)
        )
    except StandinError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(iso)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

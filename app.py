"""The CDK app: `python app.py [-c deployment=FILE]` writes template and assets to cdk.out; the CDK calls it."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from failback.errors import FailbackError
from stacks.assets import Workshop
from stacks.settings import read_deployment
from stacks.synthesis import synthesise

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ROOT = Path(__file__).resolve().parent


def main(arguments: Sequence[str]) -> int:
    """Synthesise; the exit code is 1 where something is wrong, with a message that says what."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-c", "--context", action="append", default=[], metavar="KEY=VALUE", help="deployment=FILE")
    parser.add_argument("-o", "--output", default=os.environ.get("CDK_OUTDIR", "cdk.out"), help="where to write")
    given = parser.parse_args(arguments)
    context = _context(os.environ) | dict(each.partition("=")[::2] for each in given.context)
    try:
        deployment = read_deployment(ROOT, context.get("deployment"))
        workshop = Workshop(ROOT, ROOT / "build", deployment.python)
        print(synthesise(deployment, workshop, Path(given.output).absolute()), file=sys.stderr)
    except FailbackError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _context(environment: Mapping[str, str]) -> dict[str, str]:
    """What the CDK's command was told by -c: it hands it on in one of two variables."""
    overflow = environment.get("CONTEXT_OVERFLOW_LOCATION_ENV")
    text = Path(overflow).read_text(encoding="utf-8") if overflow else environment.get("CDK_CONTEXT_JSON", "{}")
    return {name: value for name, value in json.loads(text).items() if isinstance(value, str)}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""`failback`: the command's entry point. Exit codes: 0 done, 1 failed, 2 wrong usage, 3 not ready."""

from __future__ import annotations

import signal
import sys
from typing import NoReturn

import typer

from cli import decisions, image, local, runs, servers
from failback.errors import FailbackError, NotDeployed, RequestInvalid

FAILED, USAGE, NOT_READY = 1, 2, 3

app = typer.Typer(
    name="failback",
    help="Takes workloads home from AWS Elastic Disaster Recovery to Azure or Google Cloud.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.add_typer(image.app, name="image")
app.add_typer(local.app, name="local")
app.command("prepare")(runs.prepare)
app.command("check")(servers.check)
app.command("start")(servers.start)
app.command("approve")(decisions.approve)
app.command("accept")(decisions.accept)
app.command("retry")(decisions.retry)
app.command("give-back")(decisions.give_back)
app.command("stop")(decisions.stop)
app.command("resume")(decisions.resume)
app.command("clean-up")(decisions.clean_up)
app.command("list")(runs.list_runs)
app.command("watch")(runs.watch_run)
app.command("report")(runs.report)


@app.callback()
def main() -> None:
    """Takes workloads home from AWS Elastic Disaster Recovery to Azure or Google Cloud."""


def run() -> None:
    """Run the command; what the product refuses or fails at on purpose is one message and an exit code."""
    signal.signal(signal.SIGTERM, _end)
    try:
        app()
    except FailbackError as error:
        typer.secho("error: ", err=True, fg=typer.colors.RED, bold=True, nl=False)
        typer.echo(str(error), err=True)
        sys.exit(exit_code(error))


def exit_code(error: FailbackError) -> int:
    """What a refusal ends with."""
    if isinstance(error, RequestInvalid):
        return USAGE
    return NOT_READY if isinstance(error, NotDeployed) else FAILED


def _end(number: int, _frame: object) -> NoReturn:
    """Leave as after Ctrl-C: blocks are unwound, so that no half-written file stays behind."""
    sys.exit(128 + number)


if __name__ == "__main__":
    run()

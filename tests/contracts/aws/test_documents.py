"""The contract of Documents."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from failback.clouds.aws.documents import SsmDocuments
from tests.clouds.aws.tables import REGION
from tests.memory.documents import MemoryDocuments

if TYPE_CHECKING:
    from collections.abc import Callable

    from failback.recovery_ports import Documents

ONE, TWO = "i-0123456789abcdef0", "i-00000000000000001"
PARAMETERS = {"service": ("shop", "till")}


@dataclass(frozen=True)
class Ssm:
    """The port, how many commands were sent, and how one comes to an end: id, status (memory's word), what it says."""

    documents: Documents
    count: Callable[[], int]
    settle: Callable[[str, str, str], None]


@pytest.fixture(params=["aws", "memory"])
def ssm(request: pytest.FixtureRequest) -> Ssm:
    if request.param == "memory":
        memory = MemoryDocuments()
        return Ssm(memory, lambda: len(memory.sent), memory.settle)  # type: ignore[arg-type]
    request.getfixturevalue("moto")
    import boto3
    from moto.ssm.models import ssm_backends

    from localcloud.accounts import ACCOUNT

    known = ssm_backends[ACCOUNT][REGION]._commands
    known.clear()

    def settle(command: str, status: str, said: str) -> None:
        (found,) = [each for each in known if each.command_id == command]
        found.status = {"pending": "InProgress", "done": "Success", "failed": "Failed"}[status]
        found.status_details = found.status
        found.invocations[0]["StandardOutputContent"] = f"{said}\n"

    return Ssm(SsmDocuments(boto3.client("ssm", REGION)), lambda: len(known), settle)


def test_a_document_is_run_once_for_a_token(ssm: Ssm) -> None:
    first = ssm.documents.run(ONE, "stop", PARAMETERS, token="r-fence", minutes=5)
    assert ssm.documents.run(ONE, "stop", PARAMETERS, token="r-fence", minutes=5) == first
    others = [
        ssm.documents.run(ONE, "stop", PARAMETERS, token="r-fence-2", minutes=5),
        ssm.documents.run(TWO, "stop", {}, token="r-fence", minutes=5),
    ]
    assert len({first, *others}) == 3
    assert ssm.count() == 3


def test_commands_are_found_by_how_their_tokens_begin(ssm: Ssm) -> None:
    assert list(ssm.documents.begun(ONE, token="r-fence")) == []
    tokens = ("r-fence", "r-fence-2", "r-lift", "s-r-fence")
    made = {token: ssm.documents.run(ONE, "stop", PARAMETERS, token=token, minutes=5) for token in tokens}
    assert list(ssm.documents.begun(ONE, token="r-fence")) == [made["r-fence"], made["r-fence-2"]]
    assert list(ssm.documents.begun(ONE, token="r-lift")) == [made["r-lift"]]
    assert list(ssm.documents.begun(TWO, token="r-fence")) == []


@pytest.mark.parametrize("status", ["pending", "done", "failed"])
def test_a_command_tells_how_it_stands(ssm: Ssm, status: str) -> None:
    command = ssm.documents.run(ONE, "stop", PARAMETERS, token="r-fence", minutes=5)
    ssm.settle(command, status, "shop has stopped")
    found, said = ssm.documents.outcome(ONE, command)
    assert found == status
    assert status == "pending" or said.endswith("shop has stopped")


def test_a_command_that_nobody_knows_yet_is_pending(ssm: Ssm) -> None:
    assert ssm.documents.outcome(ONE, "00000000-0000-4000-8000-0000000000ff")[0] == "pending"

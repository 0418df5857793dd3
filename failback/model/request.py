"""What starts a run, as every door takes it, and the run that becomes of it once it's checked."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, StringConstraints

from failback.model.agent import Identifier
from failback.model.facts import Facts

Goal = Literal["prepare"]
IsoVersion = Annotated[str, StringConstraints(pattern=r"^(latest|[0-9a-f]{40})$")]
AmiId = Annotated[str, StringConstraints(pattern=r"^ami-([0-9a-f]{8}|[0-9a-f]{17})$")]


class ClientImageChoice(Facts):
    """Which client: AWS's ISO of that version (`latest`, or the 40 hexadecimal digits of a pinned one), or an AMI.

    With `ami` nothing is fetched or built: that image's first volume is exported as it is.
    """

    iso_version: IsoVersion = "latest"
    ami: AmiId | None = None


class RunRequest(Facts):
    """`{"goal": "prepare", "target": "azure-home"}` and nothing more is a whole one."""

    goal: Goal
    target: Identifier
    client_image: ClientImageChoice = ClientImageChoice()


class StartEvent(BaseModel):
    """What the state machine hands to its first stage: the execution, and the request as it was given, unchecked.

    `execution` is the execution's ARN, `name` its name, which becomes the run's id, `started` its time (ISO 8601).
    """

    model_config = ConfigDict(frozen=True)

    execution: str
    name: str
    started: str
    request: dict[str, object]

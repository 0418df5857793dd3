"""What failback clients ask of DRS, and what comes of it.

AWS's managed policies name these operations; what they take and answer is AWS's secret, so these shapes are this
emulator's own: flat JSON that a shell script can read. The first four calls are signed, the others carry the
certificate that the client was issued.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from localcloud.drs.client_reports import ClientReports
from localcloud.drs.client_setup import ClientSetup
from localcloud.drs.client_values import Values, text
from localcloud.drs.refusal import denied

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from localcloud.drs.events import FailbackEvents
    from localcloud.drs.jobs import Jobs
    from localcloud.drs.records import ClientLink, RecoveryInstance
    from localcloud.drs.world import World

CERTIFICATE_HEADER = "X-Drs-Agent-Certificate"


class ClientDoor:
    """The client's operations by name; `signed` and `certified` say how their caller proves itself."""

    def __init__(self, world: World, jobs: Jobs, events: FailbackEvents) -> None:
        self._world = world
        # A certificate stays known when its client is no longer the one that's linked.
        self._issued: dict[str, str] = {}
        setup, reports = ClientSetup(world, jobs, events, self._issued), ClientReports(world, jobs, events)
        self.signed: Mapping[str, Callable[[Values], Values]] = {
            "AssociateFailbackClientToRecoveryInstanceForDrs": setup.associate,
            "UpdateFailbackClientDeviceMappingForDrs": setup.map,
            "IssueAgentCertificateForDrs": setup.issue,
        }
        self._certified: Mapping[str, Callable[[RecoveryInstance, ClientLink, Values], Values]] = {
            "UpdateAgentReplicationInfoForDrs": setup.report_step,
            "NotifyAgentReplicationProgressForDrs": reports.progress,
            "NotifyConsistencyAttainedForDrs": reports.attained,
            "UpdateFailbackClientLastSeenForDrs": lambda _instance, _link, _values: {},
            "GetFailbackCommandForDrs": lambda _instance, _link, _values: {"command": "none"},
            "GetFailbackLaunchRequestedForDrs": reports.launch_requested,
            "UpdateAgentReplicationProcessStateForDrs": reports.process_state,
        }

    def knows(self, operation: str) -> bool:
        """Whether it's one of the client's operations."""
        return operation in self.signed or operation in self._certified

    def certified(self, operation: str, certificate: str, values: Values) -> Values:
        """A call by certificate; a client whose failback was stopped is told so and changes nothing."""
        instance = self.holder(certificate)
        if instance is None or text(values, "recoveryInstanceID") != instance.id:
            message = "The agent's certificate isn't one of this recovery instance"
            raise denied(message)
        link = instance.link
        if link is None:
            return _to_a_stopped_client(operation)
        if link.certificate != certificate:
            message = "Another failback client has been linked with the recovery instance"
            raise denied(message)
        link.seen = instance.agent_seen = self._world.clock()
        return self._certified[operation](instance, link, values)

    def holder(self, certificate: str) -> RecoveryInstance | None:
        """The recovery instance whose client a certificate was issued to."""
        return self._world.get(self._issued.get(certificate, ""))


def _to_a_stopped_client(operation: str) -> Values:
    answers = {
        "GetFailbackCommandForDrs": {"command": "stop"},
        "GetFailbackLaunchRequestedForDrs": {"launchRequested": "false"},
        "NotifyAgentReplicationProgressForDrs": {"throttle": "0"},
    }
    return answers.get(operation, {})


def replication_software() -> tuple[bytes, str]:
    """64 KiB that stand for the software, and their SHA-256."""
    lines = (hashlib.sha256(b"replication software %d" % number).digest() for number in range(2048))
    data = b"".join(lines)
    return data, hashlib.sha256(data).hexdigest()

"""What DRS's words of failure usually mean on the way home, and what to do: one advice a word.

Sources: the words are those of botocore's service model drs 2020-02-26 (DataReplicationErrorString, and the initiation
steps in failback/model/recovery.py); what they mean is from AWS's page on troubleshooting failback.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from failback.initiation_advice import STEPS

if TYPE_CHECKING:
    from collections.abc import Mapping

CLIENT_NOT_SEEN, AGENT_NOT_SEEN = "FAILBACK_CLIENT_NOT_SEEN", "AGENT_NOT_SEEN"

_AGENT_LOG = (
    "the agent's log on it (/var/lib/aws-replication-agent/agent.log.0, on Windows C:\\Program Files (x86)\\AWS "
    "Replication Agent\\agent.log.0)"
)
_WAY_1500 = (
    "Check that the recovery instance's security group lets the client machine's address in to TCP port 1500, and that "
    "a route leads there: the VPN or interconnect with private_ip, the recovery instance's public address without it."
)
_WAY_443 = "Check that routes, firewalls and security groups let it out to DRS and S3 on TCP port 443."
_INTO_AWS = (
    "It belongs to replication into AWS, so usually a reverse replication inside EC2 was started for this server: "
    "failing back to another cloud takes none."
)
_NEW_RUN = "Once that's right, start the server again in a new run."

STALL_ADVICE: Mapping[str, str] = {
    AGENT_NOT_SEEN: "DRS hears nothing from the agent on the recovery instance: usually the instance is stopped, its "
    "agent isn't running, or it can't reach DRS. Start it if it's stopped, look into "
    f"{_AGENT_LOG}, and see to its way out to DRS on TCP port 443.",
    CLIENT_NOT_SEEN: "DRS hears nothing from the client machine: usually it was stopped or restarted, its client was "
    "ended, or it has lost its way to DRS on TCP port 443. Replication may go on regardless. Look at its serial "
    "console, and start it again if it's off; if it doesn't come back, start the server again in a new run.",
    "NOT_CONVERGING": "The server writes faster than the line carries: what's left grows. Raise or lift "
    "replication.bandwidth_mbps, use a wider line, or have the server write less until it's through.",
    "UNSTABLE_NETWORK": "The line between recovery instance and client machine breaks again and again. Look at the VPN "
    "or interconnect and at its packet loss and MTU; a lower replication.bandwidth_mbps spares a full line.",
    "FAILED_TO_ESTABLISH_RECOVERY_INSTANCE_COMMUNICATION": "The client machine can't talk to the recovery instance. "
    f"{_WAY_1500}",
    "FAILED_TO_DOWNLOAD_REPLICATION_SOFTWARE_TO_FAILBACK_CLIENT": "The client machine can't fetch its replication "
    f"software (some 110 MB) from S3. {_WAY_443} A proxy that changes what it carries has to leave S3 alone.",
    "FAILED_TO_CONFIGURE_REPLICATION_SOFTWARE": "The replication software didn't start on the client machine: usually "
    "it has too little memory (4 GB are needed) or a disk that it can't open. Look at its serial console, take a "
    "larger size, and start the server again in a new run.",
    "FAILED_TO_PAIR_AGENT_WITH_REPLICATION_SOFTWARE": "The recovery instance's agent and the client machine didn't "
    f"find each other. {_WAY_1500} A clock that's wrong on either side breaks pairing as well.",
    "FAILED_TO_ESTABLISH_AGENT_REPLICATOR_SOFTWARE_COMMUNICATION": "They are paired, but no data goes between the "
    f"recovery instance's agent and the client machine. {_WAY_1500}",
    "FAILED_GETTING_REPLICATION_STATE": "DRS can't tell how far replication is; usually that passes. If it stays, look "
    f"at the client machine's serial console and into {_AGENT_LOG}.",
    "SNAPSHOTS_FAILURE": "DRS couldn't make a snapshot: usually a quota of EBS snapshots is used up, or DRS's role "
    f"lacks a right on the volume's KMS key. {_INTO_AWS}",
    "FAILED_TO_CREATE_SECURITY_GROUP": "DRS couldn't make the security group of a replication server: a quota, or an "
    f"SCP that denies it. {_INTO_AWS}",
    "FAILED_TO_LAUNCH_REPLICATION_SERVER": "DRS couldn't launch a replication server: a quota of EC2, no capacity, or "
    f"a subnet without free addresses. {_INTO_AWS}",
    "FAILED_TO_BOOT_REPLICATION_SERVER": "A replication server doesn't come up: usually its subnet has no way out to "
    f"DRS and S3. {_INTO_AWS}",
    "FAILED_TO_AUTHENTICATE_WITH_SERVICE": "DRS doesn't take what it's signed in with: usually the recovery instance's "
    "role lacks AWSElasticDisasterRecoveryRecoveryInstancePolicy, a certificate has run out, or a clock is wrong. "
    f"Look into {_AGENT_LOG}.",
    "FAILED_TO_DOWNLOAD_REPLICATION_SOFTWARE": "A replication server can't fetch its software from S3: usually its "
    f"subnet has no way there. {_INTO_AWS}",
    "FAILED_TO_CREATE_STAGING_DISKS": "DRS couldn't make staging volumes: a quota of EBS, or a KMS key that its role "
    f"may not use. {_INTO_AWS}",
    "FAILED_TO_ATTACH_STAGING_DISKS": f"DRS couldn't attach staging volumes to a replication server. {_INTO_AWS}",
    "FAILED_TO_PAIR_REPLICATION_SERVER_WITH_AGENT": "A replication server and the agent didn't find each other: "
    f"usually TCP port 1500 is closed between them. {_INTO_AWS}",
    "FAILED_TO_CONNECT_AGENT_TO_REPLICATION_SERVER": "The agent can't reach a replication server: usually TCP port "
    f"1500 is closed between them, or there's no route. {_INTO_AWS}",
    "FAILED_TO_START_DATA_TRANSFER": "Both ends are there, but no data has begun to flow: usually TCP port 1500 is "
    f"closed between them. Look into {_AGENT_LOG}, and at the client machine's serial console.",
}
"""What each word of dataReplicationError.error usually means, and what to do."""

STATE_ADVICE: Mapping[str, str] = {
    "STOPPED": "Somebody stopped it, or a launch is under way. If nobody launched the server, start it again in a new "
    "run.",
    "PAUSED": "Somebody paused it. Resume it in DRS's console, or start the server again in a new run.",
    "STALLED": "Usually the line between recovery instance and client machine is cut, or one of them is off. Look at "
    f"both, and into {_AGENT_LOG}.",
    "DISCONNECTED": "The recovery instance was disconnected from DRS, which ends its replication for good: it can't be "
    "failed back any more. Reinstall the agent, or bring its data home by other means.",
}
"""What it usually means where replication has come to a stop and DRS names no error, and what to do."""

STOPPED_FAILBACK = (
    "Somebody has stopped the failback (StopFailback, or its button in DRS's console). The client doesn't begin again "
    "by itself: start the server again in a new run."
)
FAILED_FAILBACK = (
    "DRS gives no reason. Look at the client machine's serial console and into "
    f"{_AGENT_LOG}; {_NEW_RUN[0].lower()}{_NEW_RUN[1:]}"
)
GONE = (
    "It was terminated, disconnected or deleted, or this is another account or Region. Without it nothing can be "
    "failed back any more; if DRS still protects the original server, recover it anew."
)
STOPPED_INSTANCE = "A recovery instance sends its data only while it runs. Start it, unless somebody meant it to stay."
UNKNOWN = (
    "This program doesn't know that word. Look it up in AWS's page on troubleshooting failback, and at the client "
    "machine's serial console."
)


def stall_advice(error: str) -> str:
    """What to do about a word of dataReplicationError.error."""
    return STALL_ADVICE.get(error, UNKNOWN)


def step_advice(step: str) -> str:
    """What to do about an initiation step that has failed."""
    return STEPS.get(step, UNKNOWN)

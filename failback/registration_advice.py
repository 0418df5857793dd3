"""What to do where a client doesn't get through to replication: a text for each step of the agent's.

DRS's own steps are in failback/initiation_advice.py; its words for errors, the same here as later while it replicates,
in failback/replication_advice.py. Sources: AWS's page on troubleshooting, the agent's own steps (image/agent/*.sh).
"""

from __future__ import annotations

from failback.initiation_advice import AGAIN, HOME_OUTWARD, STEPS
from failback.replication_advice import stall_advice

AGENT = {
    "started": "The client image is damaged. Remove it at home, and start again: it's built anew.",
    "settings": "Usually the machine was started without its settings, or they were changed by hand. Start again; "
    "where it fails once more, check that nothing at home strips or changes the machine's user data.",
    "credentials": "Usually the machine has no identity attached, AWS's role for client machines doesn't trust it "
    "(compare the role's trust policy with the target's identity and audience), the identity provider is missing in "
    "IAM, or a new role isn't known everywhere yet. A wrong clock does it as well: UTC, and UDP 123 open. With keys, "
    "the console may not have been readable.",
    "mapping": "The machine's disks aren't those of the plan: the mark says which fit and which there are. Usually a "
    "disk was attached or detached by hand, or the machine's size shows its disks as NVMe. Undo that or choose another "
    "size, and start again.",
    "client": f"AWS's client ended with an error; its last line is in the mark. Check first: {HOME_OUTWARD}; the "
    f"clock (UTC, UDP 123 open); the Region; and the role's policy. Then {AGAIN}.",
    "poweroff": "The machine couldn't turn itself off. Stop it from outside, and start again.",
}
"""By the agent's step that it gives up at."""

STOPPED = (
    "Usually somebody or a schedule stopped it, or the guest crashed; the console says how far it came. See that "
    "nothing stops it while it replicates, and start again."
)
INSTANCE_OFF = (
    "A recovery instance that doesn't run answers no client. Start it, unless somebody meant it to stay off, and then "
    "start again."
)
INSTANCE_GONE = (
    "Somebody terminated it. Without it nothing can be taken home; if DRS still protects the original server, recover "
    "it anew."
)
GONE = "Somebody removed it. See who does that in the home's activity log, and start again."
SILENT = (
    "Usually the guest hangs in its boot or has lost its network; the console says how far it came. Boot the image "
    "locally with `failback image boot` and compare."
)


def advice_on_step(step: str, error: str) -> str:
    """What to do about a step that failed: DRS's own word for the error knows more than the step's name.

    FAILED_TO_<step> is the word of that step.
    """
    named = error.removeprefix("FAILED_TO_")
    if named in STEPS:
        return STEPS[named]
    if error:
        return stall_advice(error)
    return STEPS.get(step) or f"DRS says no more of it; {AGAIN}."


def advice_on_agent(step: str) -> str:
    """What to do where the agent gave up at a step."""
    return AGENT.get(step) or f"The mark says what the agent missed. Set that right, and {AGAIN}."

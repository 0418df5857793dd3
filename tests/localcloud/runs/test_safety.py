"""The safety rules reject what they're there to reject: recordings made by hand, each of which breaks one."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from failback.model.cutover import LaunchChoice
from failback.naming import RUN_TAG
from tests.localcloud.runs.safety_aws import NEVER
from tests.localcloud.runs.safety_forged import (
    BOOT,
    CLIENT,
    CLONES,
    DATA,
    ELSEWHERE,
    MACHINE,
    RUN,
    SERVER,
    Forged,
    arm,
    batch,
    drs,
    ec2,
    launched,
    made,
    noted,
    removed,
    resource,
    started,
    storage,
    told,
    way_back,
    way_home,
)
from tests.localcloud.runs.safety_place import check_recording
from tests.localcloud.runs.safety_secrets import secrets_in

if TYPE_CHECKING:
    from collections.abc import Callable

    Forge = Callable[[], Forged]

AUTOMATIC = LaunchChoice(mode="automatic")


def check(story: Forged) -> None:
    check_recording(story.calls, [story.history])


def unapproved(story: Forged) -> Forged:
    story.approved = None
    return story


def by_policy(story: Forged) -> Forged:
    story.launch = AUTOMATIC
    return unapproved(story)


def tried_again(story: Forged) -> Forged:
    """Its first job failed; a person has had it tried again."""
    again = (told("READY_FOR_LAUNCH"), batch("b2"), launched("b2"))
    failed = drs("DescribeJobs", answer={"drsjob-1": {"status": "COMPLETED", "servers": {SERVER: "FAILED"}}})
    return story.after("launch", failed, *again)


FINE: dict[str, Forge] = {
    "home": way_home,
    "home-overwritten": lambda: way_home(overwrite=True),
    "given-back": way_back,
    "given-back-overwritten": lambda: way_back(overwrite=True),
    "by-policy": lambda: by_policy(way_home()),
    "launched-again-after-a-failed-job": lambda: tried_again(way_home()),
    # Its answer was lost, and DRS refuses the SDK's second attempt: it's in a job.
    "an-answer-lost": lambda: way_home().after("launch", launched(status=409)),
    # It never got to DRS.
    "a-launch-throttled": lambda: way_home().before("launch", launched(status=0, fault="throttle")),
    "removed-twice": lambda: way_home().after("remove", removed(CLIENT, status=204)),
    "a-look-at-its-console": lambda: way_home().after(
        "start", arm("retrieveBootDiagnosticsData", MACHINE, method="POST")
    ),
}


@pytest.mark.parametrize("name", list(FINE))
def test_what_keeps_every_rule_is_fine(name: str) -> None:
    check(FINE[name]())


@pytest.mark.parametrize("operation", sorted(NEVER))
def test_nobody_is_ended_not_even_by_a_call_that_has_no_effect(operation: str) -> None:
    refused = drs(operation, {"recoveryInstanceIDs": [SERVER]}, status=0, fault="deny")
    with pytest.raises(AssertionError, match="is never to be made"):
        check(way_home().after("start", refused))


BROKEN: dict[str, tuple[Forge, str]] = {
    # AWS: what's changed and removed.
    "unknown-change": (lambda: way_home().after("start", ec2("ModifyInstanceAttribute")), "no rule knows of"),
    "ami-of-others": (
        lambda: way_home().after("start", ec2("DeregisterImage", ImageId="ami-1")), "removes ami-1, which no run"),
    "snapshot-of-others": (
        lambda: way_home().after("start", ec2("DeleteSnapshot", SnapshotId="snap-1")), "removes snap-1, which no run"),
    "rule-of-others": (
        lambda: way_home().after("start", ec2("RevokeSecurityGroupIngress", **{"SecurityGroupRuleId.1": "sgr-2"})),
        "removes sgr-2, which no run"),
    "rule-by-its-words": (
        lambda: way_home().after("start", ec2("RevokeSecurityGroupIngress", CidrIp="10.0.0.0/8")), "isn't named by"),
    "object-of-others": (
        lambda: way_home().after("start", {"service": "s3", "operation": "DeleteObject", "path": "/b/iso/x.iso"}),
        "removes object iso/x.iso, which no run"),
    "upload-of-others": (
        lambda: way_home().after("start", {"service": "s3", "operation": "AbortMultipartUpload", "path": "/b/iso/x",
                                           "query": [["uploadId", "u-1"]]}), "removes u-1, which no run"),
    "rule-without-a-tag": (
        lambda: way_home().after("open", ec2("AuthorizeSecurityGroupIngress", ["sgr-3"])), "makes sgr-3 without"),
    "others-tags": (
        lambda: way_home().after("configure", drs("TagResource", {"tags": {"Name": "x"}}, path=f"/tags/a/{SERVER}")),
        "tags that aren't ours"),
    "configured-before-the-image": (lambda: way_home().later("before", "configure"), f"changes {SERVER} before it's"),
    # The launch.
    "not-ready": (lambda: way_home().without("ready"), "that wasn't ready for it"),
    "ready-too-late": (lambda: way_home().later("ready", "launch"), "that wasn't ready for it"),
    "not-ready-any-more": (
        lambda: way_home().after("batch", told("NOT_READY_FOR_LAUNCH")), "wasn't ready any more"),
    "not-approved": (lambda: unapproved(way_home()), "that nobody has approved"),
    "approved-too-late": (lambda: approved_at(way_home(), timedelta(hours=9)), "that nobody has approved"),
    "refused": (lambda: refused(way_home()), "that nobody has approved"),
    "not-fenced": (lambda: way_home().without("fenced"), "wasn't noted as fenced"),
    "fenced-too-late": (lambda: way_home().later("fenced", "launch"), "wasn't noted as fenced"),
    "launch-not-noted": (lambda: way_home().later("launched", "launch"), "wasn't noted as launched"),
    "batch-not-noted": (lambda: way_home().without("batch"), "a batch that wasn't noted"),
    "launched-twice": (lambda: way_home().after("launch", launched()), "launches i-00000000000000001 again"),
    "launched-by-nobody": (
        lambda: way_home().after("fenced", drs("StartFailbackLaunch", {"recoveryInstanceIDs": [SERVER]})),
        "for no run"),
    "launched-after-its-end": (
        lambda: way_back().after("outcome", told("READY_FOR_LAUNCH"), launched()), "though its part of the run"),
    # Disks and starts.
    "swapped-before": (lambda: way_home().later("completed", "swap"), "puts the replicated boot disk of"),
    "swapped-without-a-launch": (lambda: way_home().without("launch"), "puts the replicated boot disk of"),
    "moved-before": (
        lambda: way_home().after("boot", storage(ELSEWHERE, data=CLONES[1:])), "moves a replicated disk of"),
    "started-before": (lambda: way_home().later("completed", "start"), "at home before its launch has succeeded"),
    "start-not-noted": (lambda: way_home().later("started", "start"), "at home before that's noted"),
    "made-from-it-before": (
        lambda: way_home().after("boot", arm("write", ELSEWHERE, made_of(CLONES[0]), status=201)),
        "at home before its launch has succeeded"),
    "started-after-its-end": (lambda: late(), "though its part of the run had ended"),
    "overwritten-swapped-before": (
        lambda: way_home(overwrite=True).later("completed", "swap"), "puts the replicated boot disk of"),
    "overwritten-started-before": (
        lambda: way_home(overwrite=True).later("completed", "start"), "at home before its launch has succeeded"),
    # Originals.
    "no-before-image": (lambda: way_home().without("before"), "changes an original before"),
    "off-before-the-image": (lambda: way_home().later("before", "off"), "changes an original before"),
    "changed-when-all-is-over": (lambda: way_home().after("end", started()), "changes an original before"),
    "written-though-not-asked-for": (
        lambda: way_home().after("client", storage(MACHINE, data=(DATA,))), "which nobody has asked for"),
    "attached-elsewhere": (
        lambda: way_home().after("out", storage(ELSEWHERE, data=(DATA,))), "to another machine"),
    "overwritten-without-a-snapshot": (
        lambda: way_home(overwrite=True).without("snapshot"), "of which there's no snapshot"),
    "overwritten-before-the-snapshot": (
        lambda: way_home(overwrite=True).without("snapshot").after("targets", snapshot(BOOT), snapshot(DATA)),
        "of which there's no snapshot"),
    "original-disk-opened": (
        lambda: way_home().after("out", arm("beginGetAccess", BOOT, {"access": "Write"}, method="POST")),
        "changes an original disk itself"),
    "original-disk-removed": (lambda: way_home().after("swap", removed(BOOT)), "changes an original disk itself"),
    "original-machine-removed": (lambda: way_home().after("out", removed(MACHINE)), "replaces or removes an original"),
    # Everything at home.
    "disk-of-others": (
        lambda: way_home().after("start", removed(resource("disks", "x"))), "removes what no run has made"),
    "handed-over": (lambda: way_home().after("hand-over-disks", removed(CLONES[0])), "removes what was handed over"),
    "of-an-unknown-run": (
        lambda: way_home().after("start", of_another_run(), removed(resource("disks", "y"))), "which no run log knows"),
    "not-whole": (lambda: way_home().without("start"), "has nothing of its start"),
    "without-a-tag": (
        lambda: way_home().after("start", arm("write", resource("disks", "x"), {"properties": {}}, status=202)),
        "makes something without the tag of a run"),
}  # fmt: skip


def approved_at(story: Forged, at: timedelta) -> Forged:
    story.approved = at
    return story


def refused(story: Forged) -> Forged:
    story.verdict = "refuse"
    return story


def made_of(disk: str) -> dict[str, object]:
    """A machine of the run's that boots from it."""
    storage_profile = {"osDisk": {"managedDisk": {"id": disk}}, "dataDisks": []}
    return {"tags": {RUN_TAG: RUN}, "properties": {"storageProfile": storage_profile}}


def snapshot(disk: str) -> dict[str, object]:
    return made(resource("snapshots", "late"), creationData={"sourceResourceId": disk})


def of_another_run() -> dict[str, object]:
    return arm("write", resource("disks", "y"), {"tags": {RUN_TAG: "another"}}, status=202)


def late() -> Forged:
    """A call of the change that has outlived the run's giving back."""
    story = way_home()
    story.outcome = "failed"
    return story.before("start", noted("outcome"))


@pytest.mark.parametrize("name", list(BROKEN))
def test_each_rule_rejects_what_breaks_it(name: str) -> None:
    forge, words = BROKEN[name]
    with pytest.raises(AssertionError, match="safety rule was broken") as caught:
        check(forge())
    assert words in str(caught.value)


KEY = "wJalrXUtnFEMI/K7MDENG/bPxRfiCY"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (f"keys: {KEY}", "holds a key"),
        ("asked https://x/md-1?sv=1&sig=6TgkXoOy3l2h9Q8bYw", "holds a signature"),
        ("X eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJodHRwIn0.c2lnbmF0dXJlc2ln", "holds a token"),
        ("Authorization: Bearer abcdefghijklmnop1234", "holds a bearer's token"),
    ],
    ids=["key", "signature", "token", "bearer"],
)
def test_a_secret_is_found_and_not_said(text: str, words: str) -> None:
    (fault,) = secrets_in([("a log", text), ("another", "nothing of it, ?sig=x")], [KEY, ""])
    assert fault.startswith("a log")
    assert words in fault
    assert KEY not in fault


def test_what_was_cut_short_is_no_ground_for_a_judgement() -> None:
    story = way_home()
    calls = story.calls
    changed = next(each for each in calls if each.operation == "virtualMachines/write")
    changed.body = changed.body[:-3]
    with pytest.raises(ValueError, match="line 1 column"):
        check_recording(calls, [story.history])

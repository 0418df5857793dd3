"""The safety rules reject what they're there to reject: recordings made by hand, each of which breaks one."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from failback.model.cutover import LaunchChoice
from failback.naming import RUN_TAG
from tests.localcloud.runs.safety_aws import NEVER
from tests.localcloud.runs.safety_forged import (
    Forged,
    batch,
    drs,
    ec2,
    launched,
    noted,
    told,
    way_back,
    way_home,
)
from tests.localcloud.runs.safety_place import check_recording
from tests.localcloud.runs.safety_secrets import secrets_in
from tests.localcloud.runs.safety_words import AZURE, GOOGLE, SERVER, TAGS, Things

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.localcloud.runs.safety_words import Call

    Forge = Callable[[Things], Forged]

AT = {"azure": Things(AZURE), "google": Things(GOOGLE)}
"""The same stories at both homes; what's broken at AWS is so whatever the home is."""
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
    "home-overwritten": lambda of: way_home(of, overwrite=True),
    "given-back": way_back,
    "given-back-overwritten": lambda of: way_back(of, overwrite=True),
    "by-policy": lambda of: by_policy(way_home(of)),
    "launched-again-after-a-failed-job": lambda of: tried_again(way_home(of)),
    # Its answer was lost, and DRS refuses the SDK's second attempt: it's in a job.
    "an-answer-lost": lambda of: way_home(of).after("launch", launched(status=409)),
    # It never got to DRS.
    "a-launch-throttled": lambda of: way_home(of).before("launch", launched(status=0, fault="throttle")),
    "removed-twice": lambda of: way_home(of).after("remove", of.words.removed(of.client, status=204)),
    "a-look-at-its-console": lambda of: way_home(of).after("start", of.words.act("console", of.machine)),
}


@pytest.mark.parametrize("home", list(AT))
@pytest.mark.parametrize("name", list(FINE))
def test_what_keeps_every_rule_is_fine(name: str, home: str) -> None:
    check(FINE[name](AT[home]))


@pytest.mark.parametrize("operation", sorted(NEVER))
def test_nobody_is_ended_not_even_by_a_call_that_has_no_effect(operation: str) -> None:
    refused = drs(operation, {"recoveryInstanceIDs": [SERVER]}, status=0, fault="deny")
    with pytest.raises(AssertionError, match="is never to be made"):
        check(way_home(AT["azure"]).after("start", refused))


BROKEN_AT_AWS: dict[str, tuple[Forge, str]] = {
    # What's changed and removed.
    "unknown-change": (lambda of: way_home(of).after("start", ec2("ModifyInstanceAttribute")), "no rule knows of"),
    "ami-of-others": (
        lambda of: way_home(of).after("start", ec2("DeregisterImage", ImageId="ami-1")), "removes ami-1, which no run"),
    "snapshot-of-others": (
        lambda of: way_home(of).after("start", ec2("DeleteSnapshot", SnapshotId="snap-1")),
        "removes snap-1, which no run"),
    "rule-of-others": (
        lambda of: way_home(of).after("start", ec2("RevokeSecurityGroupIngress", **{"SecurityGroupRuleId.1": "sgr-2"})),
        "removes sgr-2, which no run"),
    "rule-by-its-words": (
        lambda of: way_home(of).after("start", ec2("RevokeSecurityGroupIngress", CidrIp="10.0.0.0/8")),
        "isn't named by"),
    "object-of-others": (
        lambda of: way_home(of).after("start", {"service": "s3", "operation": "DeleteObject", "path": "/b/iso/x.iso"}),
        "removes object iso/x.iso, which no run"),
    "upload-of-others": (
        lambda of: way_home(of).after("start", {
            "service": "s3", "operation": "AbortMultipartUpload", "path": "/b/iso/x", "query": [["uploadId", "u-1"]]}),
        "removes u-1, which no run"),
    "rule-without-a-tag": (
        lambda of: way_home(of).after("open", ec2("AuthorizeSecurityGroupIngress", ["sgr-3"])), "makes sgr-3 without"),
    "others-tags": (
        lambda of: way_home(of).after("configure", drs(
            "TagResource", {"tags": {"Name": "x"}}, path=f"/tags/a/{SERVER}")),
        "tags that aren't ours"),
    "configured-before-the-image": (
        lambda of: way_home(of).later("before", "configure"),
        f"changes {SERVER} before it's"),
    # The launch.
    "not-ready": (lambda of: way_home(of).without("ready"), "that wasn't ready for it"),
    "ready-too-late": (lambda of: way_home(of).later("ready", "launch"), "that wasn't ready for it"),
    "not-ready-any-more": (
        lambda of: way_home(of).after("batch", told("NOT_READY_FOR_LAUNCH")), "wasn't ready any more"),
    "not-approved": (lambda of: unapproved(way_home(of)), "that nobody has approved"),
    "approved-too-late": (lambda of: approved_at(way_home(of), timedelta(hours=9)), "that nobody has approved"),
    "refused": (lambda of: refused(way_home(of)), "that nobody has approved"),
    "not-fenced": (lambda of: way_home(of).without("fenced"), "wasn't noted as fenced"),
    "fenced-too-late": (lambda of: way_home(of).later("fenced", "launch"), "wasn't noted as fenced"),
    "launch-not-noted": (lambda of: way_home(of).later("launched", "launch"), "wasn't noted as launched"),
    "batch-not-noted": (lambda of: way_home(of).without("batch"), "a batch that wasn't noted"),
    "launched-twice": (lambda of: way_home(of).after("launch", launched()), "launches i-00000000000000001 again"),
    "launched-by-nobody": (
        lambda of: way_home(of).after("fenced", drs("StartFailbackLaunch", {"recoveryInstanceIDs": [SERVER]})),
        "for no run"),
    "launched-after-its-end": (
        lambda of: way_back(of).after("outcome", told("READY_FOR_LAUNCH"), launched()), "though its part of the run"),
}  # fmt: skip
BROKEN_AT_HOME: dict[str, tuple[Forge, str]] = {
    # Disks and starts.
    "swapped-before": (lambda of: way_home(of).later("completed", "swap"), "puts the replicated boot disk of"),
    "swapped-without-a-launch": (lambda of: way_home(of).without("launch"), "puts the replicated boot disk of"),
    "moved-before": (
        lambda of: way_home(of).after("boot", of.moved(to=of.elsewhere, data=of.clones[1:])),
        "moves a replicated disk of"),
    "started-before": (lambda of: way_home(of).later("completed", "start"), "at home before its launch has succeeded"),
    "start-not-noted": (lambda of: way_home(of).later("started", "start"), "at home before that's noted"),
    "made-from-it-before": (
        lambda of: way_home(of).after("boot", of.made(of.elsewhere, boot=of.clones[0])),
        "at home before its launch has succeeded"),
    "started-after-its-end": (lambda of: late(of), "though its part of the run had ended"),
    "overwritten-swapped-before": (
        lambda of: way_home(of, overwrite=True).later("completed", "swap"), "puts the replicated boot disk of"),
    "overwritten-started-before": (
        lambda of: way_home(of, overwrite=True).later("completed", "start"), "at home before its launch has succeeded"),
    # Originals.
    "no-before-image": (lambda of: way_home(of).without("before"), "changes an original before"),
    "off-before-the-image": (lambda of: way_home(of).later("before", "off"), "changes an original before"),
    "changed-when-all-is-over": (lambda of: way_home(of).after("end", of.started()), "changes an original before"),
    "written-though-not-asked-for": (
        lambda of: way_home(of).after("client", of.moved(data=(of.data,))), "which nobody has asked for"),
    "attached-elsewhere": (
        lambda of: way_home(of).after("out", of.moved(to=of.elsewhere, data=(of.data,))), "to another machine"),
    "overwritten-without-a-snapshot": (
        lambda of: way_home(of, overwrite=True).without("snapshot"), "of which there's no snapshot"),
    "overwritten-before-the-snapshot": (
        lambda of: way_home(of, overwrite=True).without("snapshot").after(
            "targets", of.snapshot("late-0", of.boot), of.snapshot("late-1", of.data)),
        "of which there's no snapshot"),
    "original-disk-opened": (
        lambda of: way_home(of).after("out", of.words.act("open", of.boot)),
        "changes an original disk itself"),
    "original-disk-removed": (
        lambda of: way_home(of).after("swap", of.words.removed(of.boot)),
        "changes an original disk itself"),
    "original-machine-removed": (
        lambda of: way_home(of).after("out", of.words.removed(of.machine)),
        "replaces or removes an original"),
    # Everything at home.
    "disk-of-others": (
        lambda of: way_home(of).after("start", of.words.removed(of.disk("x"))), "removes what no run has made"),
    "handed-over": (
        lambda of: way_home(of).after("hand-over-disks", of.words.removed(of.clones[0])),
        "removes what was handed over"),
    "of-an-unknown-run": (
        lambda of: way_home(of).after("start", of_another_run(of), of.words.removed(of.disk("y"))),
        "which no run log knows"),
    "not-whole": (lambda of: way_home(of).without("start"), "has nothing of its start"),
    "without-a-tag": (
        lambda of: way_home(of).after("start", of.words.made(of.disk("x"), {})),
        "makes something without the tag of a run"),
}  # fmt: skip


def approved_at(story: Forged, at: timedelta) -> Forged:
    story.approved = at
    return story


def refused(story: Forged) -> Forged:
    story.verdict = "refuse"
    return story


def of_another_run(of: Things) -> dict[str, object]:
    return of.words.made(of.disk("y"), {RUN_TAG: "another"})


def late(of: Things) -> Forged:
    """A call of the change that has outlived the run's giving back."""
    story = way_home(of)
    story.outcome = "failed"
    return story.before("start", noted("outcome"))


BROKEN_AT_GOOGLE: dict[str, tuple[Forge, str]] = {
    "object-of-others": (
        lambda of: way_home(of).after("start", stored("DELETE", "other.img")), "removes what no run has made"),
    "object-without-metadata": (
        lambda of: way_home(of).after("start", stored("POST", "part-1", {"name": "part-1", "metadata": {}})),
        "makes something without the tag of a run"),
    "address-of-others": (
        lambda of: way_home(of).after("start", of.words.removed("projects/p/regions/z-1/addresses/x")),
        "removes what no run has made"),
    "address-of-a-machine-that-was-handed-over": (
        lambda of: way_home(of).after("hand-over-disks", *own_machine(of), of.words.removed(ADDRESS)),
        "removes what was handed over"),
    "removed-with-its-machine": (
        lambda of: way_home(of).after("boot", of.made(of.elsewhere, boot=of.boot), GOOGLE.goes_with_it(
            of.elsewhere, of.boot), of.words.removed(of.elsewhere)),
        "has projects/p/zones/z-1-a/disks/web-0 removed with its machine, what no run has made"),
    "reset-before": (
        lambda of: way_home(of).after("ready", of.moved(data=()), of.moved(boot=of.clones[0]),
                                      of.words.act("reset", of.machine)),
        "at home before its launch has succeeded"),
    "labels-of-an-original-disk": (
        lambda of: way_home(of).after("out", of.words.tagged(of.data, TAGS)), "changes an original disk itself"),
}  # fmt: skip
ADDRESS = "projects/p/regions/z-1/addresses/new"


def stored(method: str, name: str, body: object = None) -> dict[str, object]:
    """A call of Cloud Storage."""
    upload = method == "POST"
    path = "/upload/storage/v1/b/bucket/o" if upload else f"/storage/v1/b/bucket/o/{name}"
    operation = "objects.insert" if upload else "objects.delete"
    return {"service": "google_storage", "operation": operation, "method": method, "path": path, "body": body}


def own_machine(of: Things) -> tuple[Call, ...]:
    """A machine of the run's with an address of its own, and its handing over: an address' labels are its text."""
    address = {"name": "new", "description": json.dumps(TAGS)}
    collection = "/compute/v1/projects/p/regions/z-1/addresses"
    machine = of.words.thing("machine", "new")
    reserved: Call = {"service": "compute", "operation": "addresses.insert", "path": collection, "body": address}
    return reserved, of.made(machine), of.words.tagged(machine, {})


CASES = [
    *(("azure", name, *each) for name, each in BROKEN_AT_AWS.items()),
    *((home, name, *each) for home in AT for name, each in BROKEN_AT_HOME.items()),
    *(("google", name, *each) for name, each in BROKEN_AT_GOOGLE.items()),
]


@pytest.mark.parametrize(("home", "forge", "words"), [
    pytest.param(home, forge, words, id=f"{home}-{name}") for home, name, forge, words in CASES
])  # fmt: skip
def test_each_rule_rejects_what_breaks_it(home: str, forge: Forge, words: str) -> None:
    with pytest.raises(AssertionError, match="safety rule was broken") as caught:
        check(forge(AT[home]))
    assert words in str(caught.value)


KEY = "wJalrXUtnFEMI/K7MDENG/bPxRfiCY"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (f"keys: {KEY}", "holds a key"),
        ("asked https://x/md-1?sv=1&sig=6TgkXoOy3l2h9Q8bYw", "holds a signature"),
        ("X eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJodHRwIn0.c2lnbmF0dXJlc2ln", "holds a token"),
        ("Authorization: Bearer abcdefghijklmnop1234", "holds a bearer's token"),
        ("got ya29.abcdefghijklmnop1234", "holds a token of Google's"),
    ],
    ids=["key", "signature", "token", "bearer", "google"],
)
def test_a_secret_is_found_and_not_said(text: str, words: str) -> None:
    (fault,) = secrets_in([("a log", text), ("another", "nothing of it, ?sig=x")], [KEY, ""])
    assert fault.startswith("a log")
    assert words in fault
    assert KEY not in fault


@pytest.mark.parametrize(
    ("home", "operation"), [("azure", "virtualMachines/write"), ("google", "instances.attachDisk")]
)
def test_what_was_cut_short_is_no_ground_for_a_judgement(home: str, operation: str) -> None:
    story = way_home(AT[home])
    calls = story.calls
    changed = next(each for each in calls if each.operation == operation)
    changed.body = changed.body[:-3]
    with pytest.raises(ValueError, match="line 1 column"):
        check_recording(calls, [story.history])

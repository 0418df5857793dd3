"""Machines at Google as wholes, on an embedded Compute: what's Google's own in it; the contract is in tests/home."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from failback.clouds.google.labels import labels_of
from failback.clouds.google.machine_look import standing
from failback.errors import CloudRefused, OriginalChanged
from failback.naming import run_tags
from failback.takeover_ports import Arrangement, Attachment, ClientDisk, DiskCopy
from localcloud.google.operations import Fault
from tests.clouds.google.embedded import OWN, ZONE
from tests.clouds.google.services import PROJECT
from tests.home.originals import OWN_SETTINGS, WEB, InGoogle, home_in_google

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TAGS = run_tags("Run 1", datetime(2026, 1, 2, tzinfo=UTC), server="i-0123456789abcdef0")
DISKS = ("system", "data-1", "data-5")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[InGoogle]:
    with home_in_google(tmp_path_factory.mktemp("google")) as google:
        yield google


def until_done(call: Callable[[], bool]) -> None:
    for _ in range(20):
        if call():
            return
    raise AssertionError(call)


def copies(home: InGoogle) -> list[DiskCopy]:
    return [DiskCopy(home.disk_id(name), f"{name}-clone", f"{name}-snapshot", TAGS) for name in DISKS]


def test_the_whole_way_there_and_back(home: InGoogle) -> None:
    """One test: what it takes is made once."""
    google, takeovers = home.embedded, home.takeovers
    before = takeovers.find(WEB)
    assert before is not None
    first = google.document("instances", WEB)
    assert [(each.caching, each.sku) for each in before.disks] == [
        ("persistent-disk-0", "pd-balanced"),
        ("logs", "pd-balanced"),
        ("database", "pd-balanced"),
    ]
    assert (before.zone, before.size, before.os, before.firmware) == ("", "e2-standard-4", "linux", "bios")
    until_done(lambda: takeovers.power_off(WEB))
    until_done(lambda: takeovers.copy(copies(home)))
    clone = google.document("disks", "system-clone")
    assert clone["licenses"] == [f"https://www.googleapis.com/compute/v1/projects/{PROJECT}/global/licenses/rhel"]
    assert clone["guestOsFeatures"] == [{"type": "VIRTIO_SCSI_MULTIQUEUE"}]
    assert clone["labels"]["part"] == "system"
    until_done(lambda: takeovers.client_disk(ClientDisk("client", home.image, "linux", "bios", TAGS)))
    data = tuple(Attachment(f"{name}-clone", number) for number, name in enumerate(DISKS))
    wanted = Arrangement(WEB, "client", "linux", "bios", running=True, tags=TAGS, data=data, user_data="version=1\n",
                         identity=home.identity, like=before)  # fmt: skip
    until_done(lambda: takeovers.arrange(wanted))
    seen = google.document("instances", WEB)
    # Nothing of the run's goes with the machine; the boot disk keeps its device name, others have the disks'.
    assert [(each["deviceName"], each["index"], each["autoDelete"]) for each in seen["disks"]] == [
        ("persistent-disk-0", 0, False),
        ("system-clone", 1, False),
        ("data-1-clone", 2, False),
        ("data-5-clone", 3, False),
    ]
    assert {each["key"]: each["value"] for each in seen["metadata"]["items"]} == {
        "failback-settings": "version=1\n", "serial-port-logging-enable": "true", "startup-script": "#!/bin/sh\n",
    }  # fmt: skip
    assert (seen["labels"]["drs-failback-taken-by"][:6], seen["labels"]["owner"]) == ("run_1-", "web")
    assert "drs-failback-run" not in seen["labels"]
    path = f"projects/{PROJECT}/{ZONE}/instances/{WEB}"
    google.compute.administrator.act("POST", f"{path}/setDiskAutoDelete?autoDelete=true&deviceName=data-1-clone")
    until_done(lambda: takeovers.arrange(wanted))
    assert not any(each["autoDelete"] for each in google.document("instances", WEB)["disks"])
    _changed_by_somebody(home, path)
    until_done(lambda: takeovers.restore(before))
    after = google.document("instances", WEB)
    assert standing(after) == standing(first)
    assert [(each["index"], each["autoDelete"]) for each in after["disks"]] == [(0, True), (1, True), (2, False)]
    assert after["serviceAccounts"] == first["serviceAccounts"]
    assert after["serviceAccounts"][0]["email"] == OWN.email
    assert home.seen(WEB).user_data == OWN_SETTINGS


def _changed_by_somebody(home: InGoogle, path: str) -> None:
    """What's put back, too, though the run didn't change it."""
    act = home.embedded.compute.administrator.act
    act("POST", f"{path}/stop")
    kind = f"projects/{PROJECT}/{ZONE}/machineTypes/e2-standard-8"
    act("POST", f"{path}/setMachineType", {"machineType": kind})


def test_a_disk_boots_by_what_its_features_say(home: InGoogle) -> None:
    home.embedded.disk("by-uefi", guestOsFeatures=[{"type": "UEFI_COMPATIBLE"}], architecture="X86_64")
    wanted = Arrangement("fresh", "by-uefi", "linux", "bios", running=True, tags=TAGS)
    with pytest.raises(CloudRefused, match=r"by-uefi boots by UEFI .* fresh is to boot by a BIOS"):
        home.takeovers.arrange(wanted)
    until_done(lambda: home.takeovers.arrange(replace(wanted, firmware="uefi")))
    found = home.takeovers.find("fresh")
    assert found is not None
    assert (found.firmware, found.disks[0].caching) == ("uefi", "by-uefi")
    address = home.embedded.document("addresses", "fresh")
    assert address["status"] == "IN_USE"


def test_a_machine_that_was_made_anew_is_another_one(home: InGoogle) -> None:
    before = home.takeovers.find(WEB)
    assert before is not None
    other = before.model_copy(update={"document": {**before.document, "id": "1"}})
    with pytest.raises(OriginalChanged, match="Somebody has made it anew"):
        home.takeovers.restore(other)


def test_windows_is_told_by_its_feature_or_its_licence(home: InGoogle) -> None:
    licence = "projects/windows-cloud/global/licenses/windows-server-2022-dc"
    for name, more in (
        ("by-licence", {"licenses": [licence]}),
        ("by-feature", {"guestOsFeatures": [{"type": "WINDOWS"}]}),
    ):
        disk = home.embedded.disk(f"{name}-disk", **more)
        home.embedded.instance(name, {"source": disk, "boot": True})
        found = home.takeovers.find(name)
        assert found is not None
        assert found.os == "windows"


def refused(call: Callable[[], object], kind: type[Exception] = CloudRefused) -> str:
    with pytest.raises(kind) as caught:
        call()
    return str(caught.value)


def test_what_is_gone_or_another_s_is_told(home: InGoogle) -> None:
    takeovers, google = home.takeovers, home.embedded
    before = takeovers.find(WEB)
    assert before is not None
    gone = before.model_copy(update={"name": "gone"})
    plain = Arrangement("gone", "system", "linux", "bios", running=True, tags=TAGS)
    assert "Somebody has removed it" in refused(lambda: takeovers.restore(gone), OriginalChanged)
    assert "gone" in refused(lambda: takeovers.arrange(replace(plain, like=gone)), OriginalChanged)
    assert "no disk none" in refused(lambda: takeovers.arrange(replace(plain, boot="none")))
    assert takeovers.power_off("gone")
    assert takeovers.hand_over("gone", run="Run 1")
    assert takeovers.find("gone") is None
    missing = DiskCopy(home.disk_id("none"), "copy", "none-snapshot", TAGS)
    assert "no disk" in refused(lambda: takeovers.copy([missing]))
    google.disk("somebodys")
    client = ClientDisk("somebodys", home.image, "linux", "bios", TAGS)
    assert "made by something else" in refused(lambda: takeovers.client_disk(client))
    google.disk("taken-disk")
    google.instance(
        "taken", {"source": home.disk_id("taken-disk"), "boot": True}, labels={"drs-failback-taken-by": "x"}
    )
    taken = takeovers.find("taken")
    assert taken is not None
    assert "is the run x's by its labels" in refused(
        lambda: takeovers.arrange(replace(plain, machine="taken", like=taken))
    )


def test_a_disk_is_taken_out_of_a_machine_of_the_run_s_that_is_off(home: InGoogle) -> None:
    takeovers, google = home.takeovers, home.embedded
    labels = labels_of(TAGS)
    for name in ("lender-disk", "lent", "taker-disk"):
        google.disk(name, labels=labels)
    lent = {"source": home.disk_id("lent"), "deviceName": "lent"}
    google.instance("lender", {"source": home.disk_id("lender-disk"), "boot": True}, lent, labels=labels)
    wanted = Arrangement("taker", "taker-disk", "linux", "bios", running=True, tags=TAGS)
    until_done(lambda: takeovers.arrange(wanted))
    more = replace(wanted, data=(Attachment("lent", 0),))
    # It's turned off before anybody looks where the disk is.
    told = refused(lambda: [takeovers.arrange(more) for _ in "12"])
    assert "attached to the machine lender, which isn't off" in told
    until_done(lambda: takeovers.power_off("lender"))
    busy = Fault("instances.detachDisk", 400, "resourceNotReady", "The resource isn't ready")
    late = Fault("instances.attachDisk", 400, "resourceNotReady", "The resource isn't ready", at_once=False)
    google.compute.fail_next(busy, late)
    assert [takeovers.arrange(more) for _ in "123"] == [False, False, True]
    assert home.seen("taker").data == {"lent": "lent"}
    google.compute.fail_next(Fault("instances.stop", 403, "forbidden", "no"))
    with pytest.raises(home.embedded.home.foreign):
        takeovers.power_off("taker")
    google.compute.fail_next(Fault("instances.detachDisk", 403, "forbidden", "no", at_once=False))
    with pytest.raises(home.embedded.home.foreign):
        takeovers.arrange(wanted)
    google.compute.fail_next(Fault("instances.setLabels", 412, "conditionNotMet", "old"))
    assert [takeovers.hand_over("taker", run="Run 1") for _ in "12"] == [False, True]
    assert not google.document("disks", "lent").get("labels")


def test_what_takes_its_time_is_looked_at_by_the_next_call(home: InGoogle) -> None:
    google, takeovers = home.embedded, home.takeovers
    google.disk("slow-disk")
    google.instance("slow", {"source": home.disk_id("slow-disk"), "boot": True})
    instance = google.compute.administrator.state.find(f"projects/{PROJECT}/{ZONE}/instances/slow")
    assert instance is not None
    before = takeovers.find("slow")
    assert before is not None
    wanted = Arrangement("slow", "slow-disk", "linux", "bios", running=True, tags=TAGS, like=before)
    instance.document["status"] = "STOPPING"
    assert not takeovers.power_off("slow")
    assert not takeovers.arrange(wanted)
    assert not takeovers.hand_over("slow", run="Run 1")
    instance.document["status"] = "RUNNING"
    until_done(lambda: takeovers.arrange(wanted))

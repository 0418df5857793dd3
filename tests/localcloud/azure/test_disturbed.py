"""An Azure that is slow, or faulty on purpose: the SDK's own retries get through, and what took effect is found."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from io import BytesIO
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from azure.core.exceptions import AzureError, HttpResponseError
from azure.storage.blob import BlobClient

from localcloud.azure.access import AccessDesk
from localcloud.azure.blob_content import DiskContent
from localcloud.azure.clock import SystemClock
from localcloud.azure.page_blobs import PageBlobs
from localcloud.faults import FaultPlan
from localcloud.sparse_files import create_sparse
from tests.localcloud.azure.clients import GROUP, Azure, empty_disk, upload_disk, uploaded_disk, write_access

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from azure.mgmt.compute import ComputeManagementClient

MIB = 1 << 20
PAGE = b"page" * 128
CALLS, SECONDS = 32, 0.4


def faults(*rules: dict[str, Any], seed: int = 0) -> dict[str, Any]:
    return {"faults": FaultPlan.model_validate({"rules": rules, "seed": seed})}


def rule(service: str, operation: str, kind: str, **more: object) -> dict[str, Any]:
    action = {"kind": kind} | {name: more.pop(name) for name in ("seconds", "code", "after") if name in more}
    return {"service": service, "operation": operation, "action": action} | more


@pytest.mark.parametrize("settings_changes", [{"latency": {"blob/PutPage": SECONDS}}], ids=["latency"])
def test_a_call_takes_its_time_and_others_do_not(compute: ComputeManagementClient) -> None:
    upload_disk(compute, "client")
    with write_access(compute, "client") as blob:
        began = time.monotonic()
        blob.upload_page(PAGE, 0, 512)
        assert time.monotonic() - began >= SECONDS
        assert [each.start for each in blob.list_page_ranges()] == [0]


def test_calls_wait_together_and_hold_nothing(tmp_path: Path) -> None:
    """The barrier opens only once all of them wait, more than may write at once; meanwhile the disk can be read."""
    desk, path, together = AccessDesk(SystemClock()), tmp_path / "disk", threading.Barrier(CALLS + 1, timeout=20)
    create_sparse(path, CALLS * 512)
    grant = desk.grant("disk", DiskContent(path, CALLS * 512), "Write", 60)
    target = urlsplit(desk.url(grant))

    def wait(_seconds: float) -> None:
        together.wait()

    blobs = PageBlobs(desk, latency={"blob/PutPage": SECONDS}, sleep=wait)

    def ask(method: str, query: str = "", body: bytes = b"", **heads: str) -> int:
        named = {"x-ms-version": "2024-11-04"} | {name.replace("_", "-"): value for name, value in heads.items()}
        return blobs.answer(method, f"{target.path}?{target.query}{query}", named, BytesIO(body)).status

    def put(index: int) -> int:
        pages = f"bytes={index * 512}-{index * 512 + 511}"
        heads = {"x_ms_range": pages, "x_ms_page_write": "update", "Content_Length": "512"}
        return ask("PUT", "&comp=page", PAGE, **heads)

    with ThreadPoolExecutor(CALLS) as pool:
        putting = [pool.submit(put, index) for index in range(CALLS)]
        assert ask("HEAD") == 200
        together.wait()
        assert {each.result() for each in putting} == {201}
    assert path.read_bytes() == PAGE * CALLS


@pytest.mark.parametrize(
    "settings_changes",
    [faults(*(rule("arm", "disks/write", kind, nth=(1,)) for kind in ("throttle", "status")))],
    ids=["two of three"],
)
def test_arm_throttles_and_fails_in_its_own_words(compute: ComputeManagementClient) -> None:
    with pytest.raises(HttpResponseError, match="TooManyRequests") as caught:
        empty_disk(compute, "one")
    assert caught.value.status_code == 429
    assert list(compute.disks.list()) == []
    with pytest.raises(HttpResponseError) as caught:
        empty_disk(compute, "one")
    assert caught.value.status_code == 503
    empty_disk(compute, "one")


@pytest.mark.parametrize(
    "settings_changes", [faults(rule("arm", "disks/write", "lose", nth=(1,)))], ids=["first write"]
)
def test_what_arm_lost_the_answer_of_has_taken_effect(compute: ComputeManagementClient) -> None:
    with pytest.raises(AzureError):
        empty_disk(compute, "one")
    assert [each.name for each in compute.disks.list()] == ["one"]
    empty_disk(compute, "one")


@pytest.mark.parametrize("settings_changes", [faults(rule("entra", "token", "throttle", nth=(1,)))], ids=["first"])
def test_entra_throttles_too(azure: Azure, compute: ComputeManagementClient) -> None:
    """azure-identity asks again by itself."""
    assert list(compute.disks.list()) == []
    assert [each.call.service for each in azure.cloud.fault_records] == ["entra"]


KINDS = ("throttle", "status", "lose")


@pytest.mark.parametrize(
    "settings_changes", [faults(*(rule("blob", "PutPage", kind, nth=(1,)) for kind in KINDS))], ids=["one of each"]
)
def test_pages_get_through_by_the_sdks_own_retries(
    azure: Azure, compute: ComputeManagementClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload_disk(compute, "client")
    with write_access(compute, "client") as blob:
        retried(blob, monkeypatch)
        for index in range(3):
            blob.upload_page(PAGE, index * MIB, 512)
        assert [each.start for each in blob.list_page_ranges()] == [index * MIB for index in range(3)]
    assert [each.action.kind for each in azure.cloud.fault_records] == list(KINDS)


def retried(blob: BlobClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the SDK's retries come at once."""
    policies = blob._pipeline._impl_policies
    retry = next(each for each in policies if hasattr(each, "get_backoff_time"))
    monkeypatch.setattr(retry, "get_backoff_time", lambda _settings: 0)


@pytest.mark.parametrize(
    "settings_changes", [faults(rule("blob", "GetBlob", "cut", nth=(1,), after=1000))], ids=["one"]
)
def test_a_read_that_breaks_off_is_seen(
    azure: Azure, compute: ComputeManagementClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    uploaded_disk(compute, "client", PAGE * 8)
    data: Any = {"access": "Read", "durationInSeconds": 60}
    sas = compute.disks.begin_grant_access(GROUP, "client", data).result().access_sas
    with BlobClient.from_blob_url(str(sas)) as blob:
        retried(blob, monkeypatch)
        assert blob.download_blob(0, 4096).readall() == PAGE * 8
    assert [each.action.kind for each in azure.cloud.fault_records] == ["cut"]


EVERYWHERE = [rule("arm", operation, kind, probability=0.05) for operation in ("disks/write", "disks/delete")
              for kind in ("throttle", "status")]  # fmt: skip


@pytest.mark.parametrize("settings_changes", [faults(*EVERYWHERE, seed=3)], ids=["five per cent"])
def test_every_twentieth_call_fails_and_all_is_well_for_whoever_asks_again(
    azure: Azure, compute: ComputeManagementClient
) -> None:
    before = azure.cloud.listing()
    names = [f"disk-{number}" for number in range(20)]
    for name in names:
        again(partial(empty_disk, compute, name))
    for name in names:
        again(partial(removed, compute, name))
    assert azure.cloud.listing() == before
    assert azure.cloud.fault_records


def removed(compute: ComputeManagementClient, name: str) -> None:
    """The disk is gone."""
    compute.disks.begin_delete(GROUP, name).result()


def again(call: Callable[[], object]) -> None:
    """Until it has been done."""
    done = False
    while not done:
        with suppress(HttpResponseError):
            call()
            done = True

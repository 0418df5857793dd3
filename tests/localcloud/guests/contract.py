"""What every driver of the embedded Azure's machines has to do, by the real SDK: a client disk boots, reports, ends."""

from __future__ import annotations

import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from azure.core.pipeline.transport import RequestsTransport
from azure.storage.blob import BlobClient

from failback.model.agent import AgentSettings
from failback.sinks.vhd import vhd_footer
from localcloud.azure.cloud import AzureCloud, AzureSettings
from localcloud.azure.identity import FederatedCredential
from localcloud.guests.marks import read_mark, state_of
from localcloud.sparse_files import data_ranges
from tests.localcloud.azure.clients import (
    AUDIENCE,
    AUTHORITY,
    CLIENT_ID,
    GROUP,
    ISSUER,
    LOCATION,
    SIGNER,
    SUBJECT,
    AzureAccount,
    made,
    upload_disk,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import pytest
    from azure.mgmt.compute import ComputeManagementClient
    from azure.mgmt.network import NetworkManagementClient

    from localcloud.azure.driver import MachineDriver

MIB = 1 << 20
PIECE = 4 * MIB
SETTINGS = AgentSettings(run="run-1", server="web-1", prepare=True)


@contextmanager
def azure_of(driver: MachineDriver, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[AzureAccount]:
    """A cloud by the machine's own clock, whose machines `driver` starts."""
    credentials = (FederatedCredential(CLIENT_ID, ISSUER, SUBJECT, AUDIENCE),)
    settings = AzureSettings(folder=folder, credentials=credentials, issuers={ISSUER: SIGNER.public_key})
    cloud = AzureCloud(settings, driver=driver, authority=AUTHORITY, signer=SIGNER)
    with cloud.serve() as endpoints:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(endpoints.ca_file))
        yield AzureAccount(cloud, endpoints, settings)


def check_boot_test(azure: AzureAccount, image: Path, *, generation: str, seconds: float) -> bytes:
    """Boot a raw client image as a managed disk with settings that only prepare; gives the console's bytes."""
    before = azure.cloud.listing()
    with azure.compute() as compute, azure.network() as network:
        upload_image(compute, "client", image, hyperVGeneration=generation)
        create_machine(azure, compute, network, user_data=SETTINGS.to_user_data())
        text = watch_console(compute, seconds)
        wait_for(lambda: power(compute) == "PowerState/stopped", 60)
        final = console(compute)
        assert final.startswith(text)
        assert marks(final) == ["started", "settings", "ready", "poweroff"]
        assert b"FAILBACK-AGENT ready run=run-1 server=web-1" in final
        remove_machine(compute, network)
    assert azure.cloud.listing() == before
    return final


def upload_image(compute: ComputeManagementClient, name: str, image: Path, **properties: object) -> None:
    """Write the image's data to a disk of its size, page by page, as an adapter does."""
    size = image.stat().st_size
    upload_disk(compute, name, size, **properties)
    data: Any = {"access": "Write", "durationInSeconds": 3600}
    sas = made(compute.disks.begin_grant_access(GROUP, name, data).result().access_sas)
    with image.open("rb") as file, ThreadPoolExecutor(4) as pool, RequestsTransport() as transport:
        blob = BlobClient.from_blob_url(sas, transport=transport)
        pieces = {at // PIECE for start, end in data_ranges(file.fileno(), 0, size) for at in range(start, end, PIECE)}
        pieces |= {end // PIECE for _, end in data_ranges(file.fileno(), 0, size) if end % PIECE}

        def put(piece: int) -> None:
            with image.open("rb") as own:
                own.seek(piece * PIECE)
                content = own.read(PIECE)
            blob.upload_page(content, piece * PIECE, len(content))

        list(pool.map(put, sorted(pieces)))
        blob.upload_page(vhd_footer(size, uuid.UUID(int=1)), size, 512)
    compute.disks.begin_revoke_access(GROUP, name).result()


def create_machine(
    azure: AzureAccount, compute: ComputeManagementClient, network: NetworkManagementClient, *, user_data: str
) -> None:
    """A machine that boots the disk `client`; nobody waits for the end of its creation."""
    disk = compute.disks.get(GROUP, "client")
    subnet = made(network.subnets.get(GROUP, "net", "servers").id)
    configuration = {"name": "ip", "properties": {"subnet": {"id": subnet}}}
    body: Any = {"location": LOCATION, "properties": {"ipConfigurations": [configuration]}}
    nic = made(network.network_interfaces.begin_create_or_update(GROUP, "nic", body).result().id)
    os_disk = {"createOption": "Attach", "osType": "Linux", "managedDisk": {"id": made(disk.id)}}
    body = {
        "location": LOCATION,
        "tags": {"drs-failback:run": "run-1"},
        "properties": {
            "hardwareProfile": {"vmSize": "Standard_D2s_v5"},
            "storageProfile": {"osDisk": os_disk},
            "networkProfile": {"networkInterfaces": [{"id": nic}]},
            "diagnosticsProfile": {"bootDiagnostics": {"enabled": True}},
            "userData": user_data,
        },
    }
    compute.virtual_machines.begin_create_or_update(GROUP, "server", body, polling=False)


def remove_machine(compute: ComputeManagementClient, network: NetworkManagementClient) -> None:
    """Take away all that `check_boot_test` made."""
    compute.virtual_machines.begin_delete(GROUP, "server").result()
    network.network_interfaces.begin_delete(GROUP, "nic").result()
    compute.disks.begin_delete(GROUP, "client").result()


def watch_console(compute: ComputeManagementClient, seconds: float, until: str = "ready") -> bytes:
    """Read the console until the mark; it only ever grows."""
    text = b""

    def looked() -> bool:
        nonlocal text
        new = console(compute)
        assert new.startswith(text)
        text = new
        return until in marks(text)

    wait_for(looked, seconds, what=lambda: text.decode(errors="replace")[-3000:])
    return text


def console(compute: ComputeManagementClient) -> bytes:
    """The serial log behind its SAS, as it is now."""
    found = compute.virtual_machines.retrieve_boot_diagnostics_data(GROUP, "server")
    with BlobClient.from_blob_url(made(found.serial_console_log_blob_uri)) as blob:
        return bytes(blob.download_blob().readall())


def power(compute: ComputeManagementClient) -> str:
    """The machine's power state."""
    statuses = compute.virtual_machines.instance_view(GROUP, "server").statuses or []
    return made(statuses[1].code)


def marks(text: bytes) -> list[str]:
    """The states of the agent's marks on a console, in order."""
    found = (read_mark(line) for line in text.decode(errors="replace").splitlines())
    return [state_of(mark) for mark in found if mark]


def wait_for(condition: Callable[[], bool], seconds: float, what: Callable[[], str] = lambda: "") -> None:
    """Look again until it holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, what()
        time.sleep(0.05)

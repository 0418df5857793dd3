"""What every driver of the embedded Google's machines has to do, by the real SDK: an archive's image boots and ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

from google.cloud import compute_v1

from failback.model.agent import GOOGLE_ATTRIBUTE, AgentSettings
from localcloud.google.cloud import ComputeSettings, GoogleCompute
from tests.localcloud.google.clients import ACCOUNT, TOKEN, UNIQUE_ID, ZONE, Bucket, Google
from tests.localcloud.guests.contract import marks, wait_for

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from localcloud.google.driver import MachineDriver

BUS_FEATURES = ("VIRTIO_SCSI_MULTIQUEUE",)


def check_boot(driver: MachineDriver, folder: Path, archive: bytes, *, features: Sequence[str], seconds: float) -> str:
    """Boot a client image with settings that only prepare, from an archive on; gives the serial output.

    `features` are the guest OS features of its disk besides the image's. All is gone in the end.
    """
    bucket = Bucket(folder / "bucket")
    source = bucket.put("client.tar.gz", archive)
    settings = ComputeSettings(folder=folder / "google", accounts={ACCOUNT: UNIQUE_ID})
    cloud = GoogleCompute(settings, driver=driver, verify={TOKEN: "me"}.get, objects=bucket)
    with cloud.serve() as url:
        google = Google(cloud, url, bucket)
        before = cloud.listing()
        output = _boot_and_end(google, source, features, seconds)
        assert cloud.listing() == before
    return output


def _boot_and_end(google: Google, source: str, features: Sequence[str], seconds: float) -> str:
    image = compute_v1.Image(name="client", raw_disk={"source": source}, guest_os_features=_typed(BUS_FEATURES))
    google.good(google.images.insert_unary(project=google.project, image_resource=image))
    text = AgentSettings(run="run-1", server="web-1", prepare=True).to_text()
    params = {"source_image": "global/images/client", "disk_size_gb": 10}
    disk = {"boot": True, "auto_delete": True, "device_name": "client", "initialize_params": params}
    disks = [{**disk, "guest_os_features": _typed(features)}]
    metadata = {"items": [{"key": GOOGLE_ATTRIBUTE, "value": text}]}
    google.create(google.machine("server", disks=disks, metadata=metadata))
    wait_for(lambda: google.get("server").status == "TERMINATED", seconds, lambda: _serial(google)[-3000:])
    output = _serial(google)
    assert marks(output.encode()) == ["started", "settings", "ready", "poweroff"]
    assert "FAILBACK-AGENT settings google run=run-1 server=web-1" in output
    google.zonal(google.instances.delete_unary, instance="server")
    google.good(google.images.delete_unary(project=google.project, image="client"))
    return output


def _serial(google: Google) -> str:
    found = google.instances.get_serial_port_output(project=google.project, zone=ZONE, instance="server")
    return str(found.contents)


def _typed(features: Sequence[str]) -> list[dict[str, str]]:
    return [{"type_": each} for each in features]

"""Azure machines as a driver is told of them, without a cloud around."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from localcloud.azure.driver import MachineDisk, MachineIdentity, MachineNic, MachineSpec
from localcloud.sparse_files import copy_sparse, create_sparse

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from typing import Literal

    from failback.model.agent import AgentSettings

IDENTITY = MachineIdentity("11111111-0000-4000-8000-000000000001", "21111111-0000-4000-8000-000000000001", "tenant")
TARGET_SIZE = 3 << 30


def disk(folder: Path, *, image: Path | None = None, size: int = TARGET_SIZE, lun: int | None = None) -> MachineDisk:
    """A disk's file, named by its unique id, with an image's content or empty."""
    path = folder / f"{uuid.uuid4()}.raw"
    if image:
        size = image.stat().st_size
        copy_sparse(image, path, size=size)
    else:
        create_sparse(path, size)
    return MachineDisk(f"/disks/{path.stem}", path, size, lun)


def machine(
    os_disk: MachineDisk,
    settings: AgentSettings | None = None,
    *,
    data: Sequence[MachineDisk] = (),
    firmware: Literal["bios", "uefi"] = "bios",
    controller: Literal["SCSI", "NVMe"] = "SCSI",
    identities: tuple[MachineIdentity, ...] = (IDENTITY,),
) -> MachineSpec:
    """A machine of 2 cores and 8 GiB."""
    return MachineSpec(
        resource_id="/machines/server",
        vm_id="31111111-0000-4000-8000-000000000001",
        name="server",
        location="westeurope",
        size="Standard_D2s_v5",
        cores=2,
        memory_mib=8192,
        firmware=firmware,
        controller=controller,
        os_type="Linux",
        os_disk=os_disk,
        data_disks=tuple(data),
        nics=(MachineNic("/nics/nic", "00:0d:3a:01:02:03", "10.20.0.4"),),
        identities=identities,
        user_data=settings.to_user_data() if settings else None,
        tags={"drs-failback:run": "run-1"},
    )

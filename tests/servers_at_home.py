"""Servers by each way home, with the machines that were failed over where there are any: for tests of those ways."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from failback.model.original import OriginalDisk
from tests.client_bench import Bench, plan_of

if TYPE_CHECKING:
    from failback.model.original import Original
    from failback.model.server import ServerPlan
    from tests.crashes import Crashes

ORIGINAL = "web-18"
HELPER = "drs-failback-client-0123456789"
OWN_DISKS = (
    OriginalDisk(name="web-os", id="disk/web-os", size_gib=8, sku="Premium_LRS", caching="ReadWrite"),
    OriginalDisk(name="web-logs", id="disk/web-logs", size_gib=32, lun=5, sku="Standard_LRS", caching="ReadOnly"),
    OriginalDisk(name="web-scratch", id="disk/web-scratch", size_gib=64, lun=9),
)
"""What the machine that was failed over has; the last one takes no volume."""
WAYS = ("new", "helper", "helper-into-original", "original", "overwrite")


def bench_of(way: str, crashes: Crashes | None = None) -> Bench:
    """A bench whose server goes home that way; nothing has begun."""
    bench = Bench()
    bench.add(plan_for(way))
    if plan_for(way).original:
        put_original(bench)
    if crashes:
        bench.crashes = crashes
    return bench


def put_original(bench: Bench, **changed: Any) -> Original:  # noqa: ANN401
    """Have the machine there that was failed over, running."""
    return bench.takeovers.put(ORIGINAL, OWN_DISKS, firmware=plan_for("original").firmware, **changed)


def plan_for(way: str) -> ServerPlan:
    """The plan of `SERVER` for one of `WAYS`."""
    if way == "new":
        return plan_of()
    if way == "helper":
        return plan_of(way="helper", machine=HELPER, home_machine="web-18", home_size="large")
    if way == "helper-into-original":
        disks = [disk.model_copy(update={"home_lun": own.lun, "caching": own.caching})
                 for disk, own in zip(plan_of().disks, OWN_DISKS, strict=False)]  # fmt: skip
        return plan_of(way="helper", machine=HELPER, home_machine=ORIGINAL, original=ORIGINAL, disks=tuple(disks))
    return _taken_over(overwrite=way == "overwrite")


def _taken_over(*, overwrite: bool) -> ServerPlan:
    disks = [
        disk.model_copy(update={"original": own.id, "home_lun": own.lun, "caching": own.caching, "sku": "",
                                "name": own.name if overwrite else f"{own.name}-clone"})
        for disk, own in zip(plan_of().disks, OWN_DISKS, strict=False)
    ]  # fmt: skip
    return plan_of(
        way="original", original=ORIGINAL, machine=ORIGINAL, disks=tuple(disks), overwrite=overwrite, size=""
    )


def whole(bench: Bench) -> dict[str, Any]:
    """All that there is, on both sides."""
    home = bench.takeovers
    return {
        "documents": home.find_all(),
        "power": {name: each.state for name, each in bench.machines.machines.items()},
        "disks": {name: (each.disk, dict(each.tags)) for name, each in bench.machines.disks.items()},
        "interfaces": {name: (each.address, each.tags) for name, each in bench.machines.interfaces.items()},
        "contents": home.contents,
        "snapshots": (home.snapshots, home.taken),
        "rules": list(bench.hosts.rules.values()),
        "recovery": (bench.recovery.known, bench.recovery.configurations),
        "before": bench.record.before,
    }

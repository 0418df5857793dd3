"""Booting a server's client at home: the recovery instance made ready, the way to it opened, the machine and its disks.

Level-triggered, and every step may be repeated. How the recovery instance was is written down before it's changed;
it's changed before the client boots, since that's when it counts; and the way to its port 1500 is open by then.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from failback.client_access import open_way
from failback.client_settings import client_identity, client_settings
from failback.console_marks import tail
from failback.errors import ClientBootFailed
from failback.home_ports import DataDisk, MachineToBuild
from failback.model.server import BeforeImage
from failback.model.stage import Progress, StageResult, cursor_of
from failback.model.way_home import ClientCursor, ClientMachine
from failback.naming import PREFIX, TARGET_TAG, run_tags
from failback.original_client import boot_in_original, find_original

if TYPE_CHECKING:
    from failback.home_ports import HomeImages, HomeMachines, MachineState
    from failback.model.recovery import Host, RecoveryInstance
    from failback.model.run import HomeImage, RunState
    from failback.model.server import ServerPlan, ServerRecord
    from failback.recovery_ports import RecoveryHosts, RecoveryService, ServerBook
    from failback.settings import FunctionSettings
    from failback.takeover_ports import HomeTakeovers

    Result = StageResult[ClientMachine, ClientCursor]

ADDRESS_WAIT = 10
"""Seconds until the interface is looked for again: a home makes one in seconds."""
MACHINE_WAIT = 20
"""Seconds until the machine is looked at again: its disks and itself take two to four minutes."""

STEPS = 4
_ADVICE = {
    "failed": "the home couldn't make or start it. Look at its failed operation in the home's activity log: quotas, "
    "sizes that are sold out and policies are the usual causes",
    "stopped": "it turned itself off. Usually the guest crashed or found no disk that it boots from; the console says "
    "where. Boot the image locally with `failback image boot` and compare",
}


@dataclass(frozen=True, slots=True)
class ClientWork:
    """What booting a client takes of AWS and of the home."""

    recovery: RecoveryService
    hosts: RecoveryHosts
    servers: ServerBook
    images: HomeImages
    machines: HomeMachines
    takeovers: HomeTakeovers
    settings: FunctionSettings


def boot_client(state: RunState, work: ClientWork) -> Result:
    """Begin or continue with a server's client machine; `pending` until it runs.

    Raises ClientBootFailed where it can't be made, fails or turns itself off, with the end of its console; and
    OriginalChanged where the machine that it was to boot in isn't the one that was planned with.
    """
    cursor = cursor_of(state.boot_client) or ClientCursor()
    record = server_record(state, work.servers)
    plan, before = state.needed(record.plan, "a plan of the server"), record.before
    if not cursor.configured or before is None:
        before = _make_ready(state, plan, before, work)
        cursor = cursor.model_copy(update={"configured": True})
    image = _image(state, work.images)
    if plan.way == "original":
        original = state.needed(before.original, "an image of the original machine")
        return boot_in_original(state, plan, cursor, original=original, image=image, work=work)
    return _boot_in_new(state, plan, cursor, image=image, work=work)


def server_record(state: RunState, servers: ServerBook) -> ServerRecord:
    """What's known of the server whose state this is."""
    return state.needed(servers.find(state.run.id, state.one), "a record of the server")


def server_plan(state: RunState, servers: ServerBook) -> ServerPlan:
    """What's planned for it."""
    return state.needed(server_record(state, servers).plan, "a plan of the server")


def _boot_in_new(
    state: RunState, plan: ServerPlan, cursor: ClientCursor, *, image: HomeImage, work: ClientWork
) -> Result:
    """In a machine of the run's own making: the server's own one, or a helping one."""
    tags = run_tags(state.run.id, state.run.started, server=plan.id)
    if not cursor.address:
        address = work.machines.address(plan.machine, tags=tags)
        if not address:
            return _pending(cursor, 1, "making the interface at home", ADDRESS_WAIT)
        cursor = cursor.model_copy(update={"address": address})
    if not cursor.building:
        rule = open_way(state, plan, cursor.address, hosts=work.hosts, tags=tags)
        cursor = cursor.model_copy(update={"rule": rule, "building": True})
    how = work.machines.build(_machine(state, plan, image, tags, work))
    if how != "running":
        _judge(how, plan, work.machines)
        return _pending(cursor, 3, f"making machine {plan.machine} and its {len(plan.disks)} disks", MACHINE_WAIT)
    facts = ClientMachine(machine=plan.machine, address=cursor.address, rule=cursor.rule)
    progress = Progress(done=STEPS, total=STEPS, unit="steps")
    return StageResult(status="done", progress=progress, cursor=cursor, facts=facts)


def _make_ready(state: RunState, plan: ServerPlan, before: BeforeImage | None, work: ClientWork) -> BeforeImage:
    """Write down how all was, then let the recovery instance replicate as planned, and lend it to the target."""
    instance = work.recovery.instances([plan.id]).get(plan.id)
    host = work.hosts.describe([plan.id]).get(plan.id)
    if instance is None or host is None:
        message = (
            f"Recovery instance {plan.id} ({plan.hostname}) isn't there any more. Usually it was terminated or "
            "disconnected since the run began. Look for it in DRS's console; without it there's nothing to take home."
        )
        raise ClientBootFailed(message)
    if before is None:
        # A call at the same time may have changed it all already: the first image is the true one.
        before = work.servers.remember(state.run.id, plan.id, _seen(plan, instance, host, work))
    wanted = {"private_ip": plan.private_ip, "bandwidth_mbps": plan.bandwidth_mbps}
    work.recovery.configure(plan.id, before.configuration.model_copy(update=wanted))
    work.recovery.mark(instance.arn, {TARGET_TAG: state.target.name})
    return before


def _seen(plan: ServerPlan, instance: RecoveryInstance, host: Host, work: ClientWork) -> BeforeImage:
    """How all that the run will change is now."""
    return BeforeImage(
        configuration=work.recovery.configuration(plan.id),
        tags={name: value for name, value in instance.tags.items() if name.startswith(f"{PREFIX}:")},
        groups=host.groups,
        original=find_original(plan, work.takeovers),
    )


def _machine(
    state: RunState, plan: ServerPlan, image: HomeImage, tags: dict[str, str], work: ClientWork
) -> MachineToBuild:
    return MachineToBuild(
        name=plan.machine,
        image=image,
        firmware=plan.client_firmware,
        user_data=client_settings(state, plan, settings=work.settings).to_text(),
        tags=tags,
        disks=tuple(_disks(plan)),
        os=plan.os,
        identity=client_identity(state),
        size=plan.size,
    )


def _image(state: RunState, images: HomeImages) -> HomeImage:
    image = images.find(state.plan.key)
    if image is None:
        message = (
            f"The client image {state.plan.key} isn't at home any more. Usually somebody removed it since the run "
            "began. Start again: it's imported anew."
        )
        raise ClientBootFailed(message)
    return image


def _disks(plan: ServerPlan) -> list[DataDisk]:
    """The final disks; only the one that the server will boot from is made for its system."""
    return [
        DataDisk(
            name=disk.name,
            size_gib=disk.size_gib,
            lun=disk.lun,
            sku=disk.sku,
            os=plan.os if disk.boot else None,
            firmware=plan.firmware if disk.boot else None,
        )
        for disk in plan.disks
    ]


def _judge(how: MachineState, plan: ServerPlan, machines: HomeMachines) -> None:
    if how not in _ADVICE:
        return
    console = tail(machines.console(plan.machine)) or "(nothing)"
    message = (
        f"The client machine {plan.machine} of {plan.hostname} ({plan.id}) doesn't come up: {_ADVICE[how]}. "
        f"The end of its console:\n{console}"
    )
    raise ClientBootFailed(message)


def _pending(cursor: ClientCursor, done: int, note: str, wait: int) -> Result:
    progress = Progress(done=done, total=STEPS, unit="steps", note=note)
    return StageResult(status="pending", wait_seconds=wait, progress=progress, cursor=cursor)

"""Instances by the real SDK: made, started, stopped, changed, and all that's refused."""

from __future__ import annotations

from typing import Any

import pytest
from google.cloud import compute_v1

from localcloud.google.operations import Fault
from tests.localcloud.google.clients import (
    ACCOUNT,
    FEATURES,
    REGION,
    SUBNETWORK,
    UNIQUE_ID,
    ZONE,
    TestedGoogle,
    refused,
)

pytestmark = pytest.mark.embedded
BIOS: list[Any] = [{"type_": "VIRTIO_SCSI_MULTIQUEUE"}]


def attach(google: TestedGoogle, **fields: object) -> None:
    body = compute_v1.AttachedDisk(**fields)
    google.zonal(google.instances.attach_disk_unary, instance="server", attached_disk_resource=body)


def detach(google: TestedGoogle, device: str) -> None:
    google.zonal(google.instances.detach_disk_unary, instance="server", device_name=device)


def serial(google: TestedGoogle, **query: object) -> compute_v1.SerialPortOutput:
    request = compute_v1.GetSerialPortOutputInstanceRequest(
        project=google.project, zone=ZONE, instance="server", **query
    )
    return google.instances.get_serial_port_output(request=request)


def test_a_machine_is_made_of_disks_that_are_there(google: TestedGoogle) -> None:
    boot, data = google.disk("boot"), google.disk("data", size_gb=20)
    body = google.machine(
        "server",
        boot,
        data,
        metadata={"items": [{"key": "failback-settings", "value": "run=1"}]},
        service_accounts=[{"email": ACCOUNT, "scopes": ["https://www.googleapis.com/auth/cloud-platform"]}],
        tags={"items": ["client"]},
        labels={"run": "1"},
    )
    machine = google.create(body)
    assert (machine.status, machine.scheduling.on_host_maintenance) == ("RUNNING", "MIGRATE")
    assert [each.device_name for each in machine.disks] == ["persistent-disk-0", "persistent-disk-1"]
    assert [each.index for each in machine.disks] == [0, 1]
    assert machine.network_interfaces[0].network_i_p == "10.30.0.2"
    assert machine.shielded_instance_config.enable_vtpm
    (started,) = google.driver.machines
    spec = started.spec
    assert (spec.firmware, spec.controller, spec.cores, spec.memory_mib) == ("uefi", "SCSI", 2, 8192)
    assert spec.attributes == {"failback-settings": "run=1"}
    assert spec.identity is not None
    assert (spec.identity.email, spec.identity.unique_id) == (ACCOUNT, UNIQUE_ID)
    assert [(each.device_name, each.size >> 30) for each in spec.data_disks] == [("persistent-disk-1", 20)]
    assert spec.nics[0].mac_address == "42:01:0a:1e:00:02"
    for used in ("boot", "data"):
        with refused("resourceInUseByAnotherResource", "instances/server"):
            google.zonal(google.disks.delete_unary, disk=used)
    with refused("resourceInUseByAnotherResource"):
        google.create(google.machine("other", boot))
    with refused("alreadyExists", status=409):
        google.create(google.machine("server", google.disk("another")))
    google.zonal(google.instances.delete_unary, instance="server")
    assert not started.is_running
    assert [each.name for each in google.disks.list(project=google.project, zone=ZONE)] == ["another", "boot", "data"]


def test_disks_that_are_made_with_a_machine_go_with_it_if_they_are_to(google: TestedGoogle) -> None:
    google.disk("template")
    google.good(
        google.disks.create_snapshot_unary(
            project=google.project, zone=ZONE, disk="template", snapshot_resource=compute_v1.Snapshot(name="snap")
        )
    )
    params = {"source_snapshot": "global/snapshots/snap", "disk_size_gb": 15, "labels": {"run": "1"}}
    disks: list[Any] = [
        {"boot": True, "auto_delete": True, "device_name": "boot", "initialize_params": params},
        {"device_name": "data", "initialize_params": {"disk_name": "data", "disk_size_gb": 10}},
    ]
    machine = google.create(google.machine("server", disks=disks))
    assert [each.source.rpartition("/")[2] for each in machine.disks] == ["server", "data"]
    assert google.driver.machines[0].spec.firmware == "uefi"
    assert google.disks.get(project=google.project, zone=ZONE, disk="server").size_gb == 15
    google.zonal(google.instances.set_disk_auto_delete_unary, instance="server", auto_delete=True, device_name="data")
    google.zonal(google.instances.set_disk_auto_delete_unary, instance="server", auto_delete=False, device_name="boot")
    google.zonal(google.instances.delete_unary, instance="server")
    assert [each.name for each in google.disks.list(project=google.project, zone=ZONE)] == ["server", "template"]


TYPES = f"zones/{ZONE}/machineTypes/"


@pytest.mark.parametrize(
    ("fields", "reason", "text"),
    [
        ({"disks": []}, "invalid", "At least one disk"),
        ({"disks": [{"source": "D", "boot": False}]}, "invalid", "Boot disk must be the first disk"),
        ({"disks": [{"source": "D", "boot": True}] * 2}, "invalid", "Boot disk must be the first disk"),
        ({"disks": [{"boot": True}]}, "invalid", "Exactly one of source and initializeParams"),
        (
            {"disks": [{"boot": True, "initialize_params": {"disk_size_gb": 5}}]},
            "invalid",
            "initializeParams.diskSizeGb",
        ),
        ({"disks": [{"source": "D", "boot": True, "mode": "READ_ONLY"}]}, "notEmulated", "disks[0].mode"),
        ({"disks": [{"source": "D", "boot": True, "interface": "NVME"}]}, "invalid", "disks[0].interface"),
        ({"disks": [{"source": "D", "boot": True, "device_name": "a" * 64}]}, "invalid", "deviceName"),
        ({"machine_type": ""}, "required", "machineType"),
        ({"machine_type": "e2-standard-2"}, "invalid", "malformed"),
        ({"machine_type": TYPES + "e2-none"}, "invalid", "does not exist"),
        ({"machine_type": TYPES + "c3-standard-4"}, "invalid", "pd-standard disk type cannot be used by c3-standard-4"),
        ({"machine_type": TYPES + "t2a-standard-1"}, "invalid", "ARM64"),
        ({"network_interfaces": []}, "invalid", "network interface is required"),
        ({"network_interfaces": [{}]}, "required", "networkInterfaces[0].subnetwork"),
        ({"network_interfaces": [{"subnetwork": SUBNETWORK + "x"}]}, "notFound", "serversx"),
        ({"network_interfaces": [{"subnetwork": SUBNETWORK, "network_i_p": "10.30.0.1"}]}, "invalid", "10.30.0.1"),
        ({"network_interfaces": [{"subnetwork": SUBNETWORK, "network_i_p": "10.9.0.9"}]}, "invalid", "10.9.0.9"),
        ({"network_interfaces": [{"subnetwork": SUBNETWORK, "nic_type": "GVNIC"}]}, "invalid", "GVNIC GuestOsFeature"),
        ({"service_accounts": [{"email": "who@example.test"}]}, "notFound", "who@example.test"),
        ({"metadata": {"items": [{"key": "a b", "value": ""}]}}, "invalid", "items[0].key"),
        ({"metadata": {"items": [{"key": "a", "value": "x" * 300_000}]}}, "invalid", "items[0].value"),
        ({"metadata": {"items": [{"key": "a"}, {"key": "a"}]}}, "invalid", "duplicate keys"),
        ({"tags": {"items": ["A"]}}, "invalid", "tags.items[0]"),
        ({"scheduling": {"preemptible": True}}, "notEmulated", "scheduling"),
        ({"min_cpu_platform": "Intel"}, "notEmulated", "minCpuPlatform"),
        ({"labels": {"A": "1"}}, "invalid", "labels"),
    ],
    ids=lambda value: str(value)[:60],
)
def test_machines_that_are_refused_leave_nothing(
    google: TestedGoogle, fields: dict[str, Any], reason: str, text: str
) -> None:
    boot = google.disk("boot", guest_os_features=[])
    for each in fields.get("disks", ()):
        each |= {"source": boot} if each.get("source") else {}
    before = google.cloud.listing()
    with refused(reason, text):
        google.create(google.machine("server", boot, **fields))
    assert google.cloud.listing() == before
    assert google.driver.machines == []
    assert len(list((google.cloud.settings.folder / "disks").iterdir())) == 1


def test_a_machine_that_does_not_start_is_gone_with_what_was_made_for_it(google: TestedGoogle) -> None:
    google.driver.fault = "no room"
    disks: list[Any] = [{"boot": True, "initialize_params": {"disk_size_gb": 10}}]
    operation = google.instances.insert_unary(
        project=google.project, zone=ZONE, instance_resource=google.machine("server", disks=disks)
    )
    google.failed(operation, "INTERNAL_ERROR", "no room")
    assert list(google.instances.list(project=google.project, zone=ZONE)) == []
    assert list(google.disks.list(project=google.project, zone=ZONE)) == []


def test_stopping_is_done_when_the_operation_is(google: TestedGoogle) -> None:
    google.cloud.settings.latency.update({"instances.stop": 30, "instances.start": 20})  # type: ignore[attr-defined]
    google.create(google.machine("server", google.disk("boot")))
    operation = google.instances.stop_unary(project=google.project, zone=ZONE, instance="server")
    assert google.look(operation).status == compute_v1.Operation.Status.RUNNING
    assert google.get("server").status == "STOPPING"
    assert google.driver.machines[0].is_running
    with refused("resourceNotReady", "instances/server"):
        google.instances.start_unary(project=google.project, zone=ZONE, instance="server")
    with refused("resourceNotReady"):
        detach(google, "persistent-disk-0")
    google.clock.advance(30)
    google.good(operation)
    assert google.get("server").status == "TERMINATED"
    assert not google.driver.machines[0].is_running
    operation = google.instances.start_unary(project=google.project, zone=ZONE, instance="server")
    assert google.get("server").status == "PROVISIONING"
    google.clock.advance(20)
    google.good(operation)
    assert google.get("server").status == "RUNNING"
    google.zonal(google.instances.reset_unary, instance="server")
    assert len(google.driver.machines) == 3


def test_a_guest_that_powers_itself_off_is_terminated(google: TestedGoogle) -> None:
    google.create(google.machine("server", google.disk("boot")))
    google.driver.machines[0].is_running = False
    assert google.get("server").status == "TERMINATED"
    with refused("resourceNotReady"):
        google.zonal(google.instances.reset_unary, instance="server")


def test_the_boot_disk_is_changed_while_the_machine_is_off(google: TestedGoogle) -> None:
    old, new = google.disk("old"), google.disk("new", guest_os_features=BIOS)
    shield = {"enable_secure_boot": False, "enable_vtpm": False, "enable_integrity_monitoring": False}
    google.create(google.machine("server", old, google.disk("data"), shielded_instance_config=shield))
    with refused("invalidResourceUsage", "must be in TERMINATED state"):
        detach(google, "persistent-disk-0")
    with refused("invalidResourceUsage", "must be in TERMINATED state"):
        attach(google, source=new, boot=True)
    with refused("notEmulated"):
        attach(google, source=new)
    with refused("notEmulated"):
        detach(google, "persistent-disk-1")
    google.stop("server")
    with refused("invalidResourceUsage", "already has a boot disk"):
        attach(google, source=new, boot=True)
    with refused("invalid", "No attached disk found"):
        detach(google, "none")
    detach(google, "persistent-disk-0")
    assert [each.device_name for each in google.get("server").disks] == ["persistent-disk-1"]
    assert not google.disks.get(project=google.project, zone=ZONE, disk="old").users
    with refused("invalidResourceUsage", "no boot disk"):
        google.instances.start_unary(project=google.project, zone=ZONE, instance="server")
    with refused("invalid", "deviceName"):
        attach(google, source=new, boot=True, device_name="persistent-disk-1")
    attach(google, source=new, boot=True, device_name="client")
    assert [(each.device_name, each.boot) for each in google.get("server").disks] == [
        ("client", True), ("persistent-disk-1", False)
    ]  # fmt: skip
    google.zonal(google.instances.start_unary, instance="server")
    assert [each.spec.firmware for each in google.driver.machines] == ["uefi", "bios"]


def test_metadata_changes_while_it_runs_and_by_its_fingerprint(google: TestedGoogle) -> None:
    google.create(google.machine("server", google.disk("boot")))
    before = google.get("server").metadata.fingerprint

    def change(value: str, fingerprint: str) -> None:
        body = compute_v1.Metadata(items=[{"key": "a", "value": value}], fingerprint=fingerprint)
        google.zonal(google.instances.set_metadata_unary, instance="server", metadata_resource=body)

    change("1", before)
    assert google.driver.machines[0].spec.attributes == {"a": "1"}
    for stale in (before, ""):
        with refused("conditionNotMet", "metadata fingerprint", status=412):
            change("2", stale)
    tags = compute_v1.Tags(items=["web"], fingerprint=google.get("server").tags.fingerprint)
    google.zonal(google.instances.set_tags_unary, instance="server", tags_resource=tags)
    assert list(google.get("server").tags.items) == ["web"]
    with refused("conditionNotMet", status=412):
        google.zonal(google.instances.set_tags_unary, instance="server", tags_resource=tags)
    labels = compute_v1.InstancesSetLabelsRequest(
        labels={"run": "1"}, label_fingerprint=google.get("server").label_fingerprint
    )
    google.zonal(google.instances.set_labels_unary, instance="server", instances_set_labels_request_resource=labels)
    assert dict(google.get("server").labels) == {"run": "1"}


def test_what_only_a_terminated_machine_takes(google: TestedGoogle) -> None:
    google.create(google.machine("server", google.disk("boot")))
    kind = compute_v1.InstancesSetMachineTypeRequest(machine_type=TYPES + "n1-standard-2")
    account = compute_v1.InstancesSetServiceAccountRequest(email=ACCOUNT, scopes=["s"])
    shield = compute_v1.ShieldedInstanceConfig(enable_secure_boot=True)
    calls: Any = (
        (google.instances.set_machine_type_unary, {"instances_set_machine_type_request_resource": kind}),
        (google.instances.set_service_account_unary, {"instances_set_service_account_request_resource": account}),
        (google.instances.update_shielded_instance_config_unary, {"shielded_instance_config_resource": shield}),
    )
    for call, arguments in calls:
        with refused("invalidResourceUsage", "TERMINATED"):
            google.zonal(call, instance="server", **arguments)
    google.stop("server")
    for call, arguments in calls:
        google.zonal(call, instance="server", **arguments)
    google.zonal(google.instances.start_unary, instance="server")
    spec = google.driver.machines[1].spec
    assert (spec.machine_type, spec.memory_mib, spec.secure_boot) == ("n1-standard-2", 7680, True)
    assert spec.identity is not None
    google.stop("server")
    wrong = compute_v1.InstancesSetMachineTypeRequest(machine_type=TYPES + "c3-standard-4")
    with refused("invalid", "attached by another bus"):
        google.zonal(
            google.instances.set_machine_type_unary,
            instance="server",
            instances_set_machine_type_request_resource=wrong,
        )


def test_shielded_options_are_those_of_uefi(google: TestedGoogle) -> None:
    boot = google.disk("boot", guest_os_features=BIOS)
    with refused("invalid", "UEFI-compatible disk"):
        google.create(google.machine("server", boot, shielded_instance_config={"enable_secure_boot": True}))
    machine = google.create(google.machine("server", boot))
    assert not machine.shielded_instance_config.enable_vtpm


def test_serial_output_is_a_ring_that_is_read_by_position(google: TestedGoogle) -> None:
    google.create(google.machine("server", google.disk("boot")))
    machine = google.driver.machines[0]
    machine.text = b"0123456789"
    assert (serial(google).contents, serial(google).next_) == ("0123456789", 10)
    part = serial(google, port=1, start=4)
    assert (part.contents, part.start, part.next_) == ("456789", 4, 10)
    part = serial(google, start=-3)
    assert (part.contents, part.start, part.next_) == ("789", 7, 10)
    part = serial(google, start=10)
    assert (part.contents, part.start, part.next_) == ("", 10, 10)
    assert serial(google, port=2).contents == ""
    with refused("invalid", "port"):
        serial(google, port=5)
    google.stop("server")
    assert serial(google).contents == "0123456789"
    google.zonal(google.instances.start_unary, instance="server")
    google.driver.machines[1].text = b"x" * (1 << 20)
    part = serial(google, start=3)
    assert (part.start, part.next_, len(part.contents)) == (10, (1 << 20) + 10, 1 << 20)


def test_deletion_does_not_wait(google: TestedGoogle) -> None:
    google.cloud.settings.latency["instances.insert"] = 100  # type: ignore[index]
    boot = google.disk("boot")
    operation = google.instances.insert_unary(
        project=google.project, zone=ZONE, instance_resource=google.machine("server", boot)
    )
    assert google.get("server").status == "PROVISIONING"
    google.zonal(google.instances.delete_unary, instance="server")
    google.failed(operation, "CONFLICT", "being deleted")
    assert google.driver.machines == []
    google.zonal(google.disks.delete_unary, disk="boot")


def test_addresses_are_kept_for_a_machine(google: TestedGoogle) -> None:
    def reserve(name: str, **fields: object) -> compute_v1.Address:
        body = compute_v1.Address(name=name, **({"address_type": "INTERNAL", "subnetwork": SUBNETWORK} | fields))
        google.good(google.addresses.insert_unary(project=google.project, region=REGION, address_resource=body))
        return google.addresses.get(project=google.project, region=REGION, address=name)

    first = reserve("first", description='{"run": "1"}')
    assert (first.address, first.status, first.purpose) == ("10.30.0.2", "RESERVED", "GCE_ENDPOINT")
    assert reserve("second", address="10.30.0.77").address == "10.30.0.77"
    with refused("ipInUseByAnotherResource", "10.30.0.77"):
        reserve("third", address="10.30.0.77")
    for fields, reason in (({"address": "10.30.1.1"}, "invalid"), ({"address_type": "EXTERNAL"}, "notEmulated")):
        with refused(reason):
            reserve("third", **fields)
    nics: list[Any] = [{"subnetwork": SUBNETWORK, "network_i_p": "10.30.0.2"}]
    google.create(google.machine("server", google.disk("boot"), network_interfaces=nics))
    with refused("ipInUseByAnotherResource"):
        google.create(google.machine("other", google.disk("more"), network_interfaces=nics))
    used = google.addresses.get(project=google.project, region=REGION, address="first")
    assert (used.status, list(used.users)) == ("IN_USE", [google.get("server").self_link])
    with refused("resourceInUseByAnotherResource"):
        google.addresses.delete_unary(project=google.project, region=REGION, address="first")
    request = compute_v1.ListAddressesRequest(project=google.project, region=REGION, filter="name=second")
    assert [each.address for each in google.addresses.list(request=request)] == ["10.30.0.77"]
    google.zonal(google.instances.delete_unary, instance="server")
    google.good(google.addresses.delete_unary(project=google.project, region=REGION, address="first"))


def test_external_addresses_come_and_go_with_the_power(google: TestedGoogle) -> None:
    nics: list[Any] = [{"subnetwork": SUBNETWORK, "access_configs": [{"type_": "ONE_TO_ONE_NAT"}]}]
    machine = google.create(google.machine("server", google.disk("boot"), network_interfaces=nics))
    assert machine.network_interfaces[0].access_configs[0].nat_i_p.startswith("203.0.113.")
    google.stop("server")
    assert not google.get("server").network_interfaces[0].access_configs[0].nat_i_p


def test_faults_strike_at_once_or_at_the_end(google: TestedGoogle) -> None:
    google.create(google.machine("server", google.disk("boot")))
    google.cloud.fail_next(Fault("instances.stop", 503, "backendError", "later"))
    with refused("backendError", status=503):
        google.instances.stop_unary(project=google.project, zone=ZONE, instance="server")
    google.cloud.fail_next(Fault("instances.stop", 500, "internalError", "broken", at_once=False))
    operation = google.instances.stop_unary(project=google.project, zone=ZONE, instance="server")
    google.failed(operation, "INTERNAL_ERROR", "broken")
    assert google.get("server").status == "RUNNING"
    assert set(FEATURES) == {
        each.type_ for each in google.disks.get(project=google.project, zone=ZONE, disk="boot").guest_os_features
    }

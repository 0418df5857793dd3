"""Every answer of the embedded Azure is one that the SDK's own models hold whole: nothing is lost, nothing invented."""

from __future__ import annotations

import json
import re
from importlib import import_module
from typing import TYPE_CHECKING, Any

import pytest
from azure.mgmt.compute._utils.model_base import SdkJSONEncoder

from localcloud.azure.refusals import ArmRefusal
from localcloud.azure.schema import checked_answer
from tests.localcloud.azure.clients import GROUP, IDENTITY, LOCATION, Azure, empty_disk, made, refused, uploaded_disk
from tests.localcloud.azure.test_machines import create, machine, serial_log, swap

if TYPE_CHECKING:
    from collections.abc import Iterable

    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment
    from azure.mgmt.compute import ComputeManagementClient
    from azure.mgmt.network import NetworkManagementClient

    from localcloud.azure.refusals import Json

# What a path ends with, the library and the model of its answer, and whether that's a list of them.
KINDS = {
    "disks": ("compute", "Disk"),
    "snapshots": ("compute", "Snapshot"),
    "virtualmachines": ("compute", "VirtualMachine"),
    "networkinterfaces": ("network", "NetworkInterface"),
    "publicipaddresses": ("network", "PublicIPAddress"),
    "networksecuritygroups": ("network", "NetworkSecurityGroup"),
    "virtualnetworks": ("network", "VirtualNetwork"),
    "skus": ("compute", "ResourceSku"),
}
ACTIONS = {
    "begingetaccess": ("compute", "AccessUri"),
    "instanceview": ("compute", "VirtualMachineInstanceView"),
    "retrievebootdiagnosticsdata": ("compute", "RetrieveBootDiagnosticsDataResult"),
    "subnets": ("network", "Subnet"),
}
PATH = re.compile(r"/providers/[^/]+/(?P<kind>\w+)(?:/(?P<name>[^/?]+))?(?:/(?P<action>\w+))?(?:/[^/?]+)?$")


class Recorder:
    """Keeps every answer of ARM, with the request's method and path."""

    def __init__(self) -> None:
        self.answers: list[tuple[str, str, int, Any]] = []

    def around(self, front: WSGIApplication) -> WSGIApplication:
        """The same application, listened to."""

        def listen(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
            seen: list[int] = []

            def start(status: str, headers: list[tuple[str, str]], error: Any = None, /) -> Any:  # noqa: ANN401 - WSGI's own
                seen.append(int(status.split()[0]))
                return start_response(status, headers, error)

            body = b"".join(front(environ, start))
            self.answers.append((environ["REQUEST_METHOD"], environ["PATH_INFO"], seen[0], json.loads(body or b"null")))
            return [body]

        return listen


RECORDER = Recorder()


@pytest.mark.parametrize("settings_changes", [{"around": RECORDER.around}], ids=["recorded"])
def test_every_answer_is_one_of_the_sdks_models(
    azure: Azure, compute: ComputeManagementClient, network: NetworkManagementClient
) -> None:
    RECORDER.answers.clear()
    go_all_the_way(azure, compute, network)
    judged = {judge(*answer) for answer in RECORDER.answers}
    wanted = {model for _, model in (*KINDS.values(), *ACTIONS.values())}
    assert judged - {""} == wanted | {"operation", "error"}


@pytest.mark.parametrize(
    ("document", "fault"),
    [
        ({"location": "x", "colour": "red"}, "colour"),
        ({"properties": {"diskSizeGB": "1"}}, "diskSizeGB"),
        ({"properties": {"diskState": "Lost"}}, "diskState"),
    ],
    ids=["member", "type", "enum"],
)
def test_an_answer_that_the_sdk_does_not_hold_is_noticed(document: Json, fault: str) -> None:
    with pytest.raises(ArmRefusal, match=fault):
        checked_answer("compute", "Disk", document)


def go_all_the_way(azure: Azure, compute: ComputeManagementClient, network: NetworkManagementClient) -> None:
    """Everything that has an answer of its own."""
    subnet = made(network.subnets.get(GROUP, "net", "servers").id)
    list(network.virtual_networks.list(GROUP))
    nic = made(interface_with_all(network, subnet).id)
    client, data = uploaded_disk(compute, "client"), empty_disk(compute, "data", osType="Linux", hyperVGeneration="V1")
    creation: Any = {"createOption": "Copy", "sourceResourceId": client}
    body: Any = {"location": LOCATION, "properties": {"creationData": creation, "incremental": True}}
    compute.snapshots.begin_create_or_update(GROUP, "moment", body).result()
    identity_id = IDENTITY.resource_id(azure.settings.subscription)
    identity = {"type": "SystemAssigned, UserAssigned", "userAssignedIdentities": {identity_id: {}}}
    create(compute, machine(client, nic, data=(data,), userData="AAAA") | {"identity": identity})
    compute.virtual_machines.get(GROUP, "server", expand="userData")
    compute.virtual_machines.get(GROUP, "server", expand="instanceView")
    compute.virtual_machines.instance_view(GROUP, "server")
    serial_log(compute)
    compute.virtual_machines.begin_deallocate(GROUP, "server").result()
    change = swap(data)
    change["properties"]["storageProfile"]["dataDisks"] = []
    compute.virtual_machines.begin_update(GROUP, "server", change).result()
    for found in (compute.disks.list(), compute.snapshots.list(), compute.virtual_machines.list_all()):
        assert list(found)
    assert list(compute.resource_skus.list())
    with refused("OperationNotAllowed"):
        compute.disks.begin_delete(GROUP, "data")
    compute.virtual_machines.begin_delete(GROUP, "server").result()


def interface_with_all(network: NetworkManagementClient, subnet: str) -> Any:  # noqa: ANN401 - any model
    """A NIC with a public address and a security group."""
    address: Any = {"location": LOCATION, "sku": {"name": "Standard"}}
    public = network.public_ip_addresses.begin_create_or_update(GROUP, "address", address).result()
    values = {"protocol": "Tcp", "access": "Deny", "direction": "Inbound", "priority": 100}
    values |= dict.fromkeys(("sourceAddressPrefix", "sourcePortRange", "destinationPortRange"), "*")
    values |= {"destinationAddressPrefix": "*"}
    group: Any = {"location": LOCATION, "properties": {"securityRules": [{"name": "none", "properties": values}]}}
    made_group = network.network_security_groups.begin_create_or_update(GROUP, "group", group).result()
    parts = {"subnet": {"id": subnet}, "publicIPAddress": {"id": public.id}}
    properties = {"ipConfigurations": [{"name": "ip", "properties": parts}]}
    body: Any = {
        "location": LOCATION,
        "properties": properties | {"networkSecurityGroup": {"id": made_group.id}},
    }
    nic = network.network_interfaces.begin_create_or_update(GROUP, "nic", body).result()
    network.public_ip_addresses.get(GROUP, "address")
    network.network_security_groups.get(GROUP, "group")
    return nic


def judge(method: str, path: str, status: int, body: Any) -> str:  # noqa: ANN401 - any JSON
    """Compare an answer with its model, and give the model's name; Entra's and empty answers have none."""
    match = PATH.search(path)
    if match is None or body is None:
        return ""
    if status >= 400:
        assert set(body) == {"error"}
        hold("compute", "CloudError", body)
        return "error"
    if match["kind"] == "locations":
        return judge_operation(body)
    library, model = ACTIONS.get((match["action"] or "").lower()) or KINDS[match["kind"].lower()]
    for each in body["value"] if method == "GET" and set(body) == {"value"} else [body]:
        hold(library, model, each)
    return model


def judge_operation(body: Json) -> str:
    """An operation's state, with its outcome or without; or, where that's asked for, the outcome alone."""
    if "status" not in body:
        return judge_outcome(body)
    assert set(body) <= {"name", "status", "startTime", "endTime", "error", "properties"}
    return judge_outcome(body["properties"]["output"]) if "properties" in body else "operation"


def judge_outcome(outcome: Json) -> str:
    """What an operation came to: a resource, or access to one."""
    library, model = (
        KINDS[outcome["type"].rpartition("/")[2].lower()] if "type" in outcome else ("compute", "AccessUri")
    )
    hold(library, model, outcome)
    return model


def hold(library: str, model: str, document: Json) -> None:
    """The model takes the document, and gives the same one back after each member was read as what it is."""
    if model != "CloudError":
        assert checked_answer(library, model, document) == document
    known = getattr(import_module(f"azure.mgmt.{library}.models"), model)
    instance = known._deserialize(document, [])
    read_all(instance)
    assert json.loads(json.dumps(instance, cls=SdkJSONEncoder)) == document


def read_all(instance: Any) -> None:  # noqa: ANN401 - any model
    """Read every member, in depth: that's when the SDK deserialises."""
    for attribute in getattr(instance, "_attr_to_rest_field", {}):
        value = getattr(instance, attribute)
        for each in value if isinstance(value, list) else [value]:
            read_all(each)

"""Network interfaces, public addresses, security groups, and the virtual networks given at start.

Source: the SDK's models of Microsoft.Network 2026-03-01. Nothing is filtered here: rules are kept, not enforced.
"""

from __future__ import annotations

import copy
import secrets
import uuid
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from typing import TYPE_CHECKING

from localcloud.azure.arm import Answer
from localcloud.azure.refusals import ArmRefusal, Json, refuse_missing, refuse_unemulated, refuse_value
from localcloud.azure.schema import BodySchema, emulated
from localcloud.azure.state import Resource, ResourceId

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from localcloud.azure.arm import Call
    from localcloud.azure.operations import OperationBoard
    from localcloud.azure.state import CloudState

VERSION = "2026-03-01"
NICS = "Microsoft.Network/networkInterfaces"
ADDRESSES = "Microsoft.Network/publicIPAddresses"
SECURITY_GROUPS = "Microsoft.Network/networkSecurityGroups"
NETWORKS = "Microsoft.Network/virtualNetworks"
# RFC 5737: addresses for documentation, so that nothing real is ever meant.
_PUBLIC_NET = IPv4Network("203.0.113.0/24")
# Azure keeps the first four addresses of a subnet for itself.
_RESERVED = 4
_CONFIGURATION = "properties.ipConfigurations"
SCHEMAS = {
    NICS: BodySchema(
        "network", "NetworkInterface",
        emulated(
            "id", "location", "tags", "properties.networkSecurityGroup.id",
            "properties.{enableAcceleratedNetworking,enableIPForwarding}",
            f"{_CONFIGURATION}.{{id,name}}", f"{_CONFIGURATION}.properties.subnet.id",
            f"{_CONFIGURATION}.properties.publicIPAddress.id",
            f"{_CONFIGURATION}.properties.{{privateIPAllocationMethod,privateIPAddress,privateIPAddressVersion,primary}}",
        ),
    ),
    ADDRESSES: BodySchema(
        "network", "PublicIPAddress",
        emulated(
            "id", "location", "tags", "sku.{name,tier}", "properties.ipAddress", "properties.deleteOption",
            "properties.{publicIPAllocationMethod,publicIPAddressVersion,idleTimeoutInMinutes}",
        ),
    ),
    SECURITY_GROUPS: BodySchema(
        "network", "NetworkSecurityGroup", emulated("id", "location", "tags", "properties.securityRules")
    ),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class VirtualNetwork:
    """A network that exists from the start: its subnets by name, as address ranges (`10.0.0.0/24`)."""

    group: str
    name: str
    subnets: Mapping[str, str]


@dataclass(slots=True)
class Networks:
    """The virtual networks: there from the start, only to be read."""

    state: CloudState
    type: str = NETWORKS
    api_version: str = VERSION
    queries: frozenset[str] = frozenset({"$expand"})

    def add(self, subscription: str, location: str, network: VirtualNetwork) -> None:
        """Make one known, unless an earlier start did."""
        network_id = ResourceId(subscription, network.group, NETWORKS, network.name)
        if self.state.find(network_id):
            return
        subnets = [
            {"id": f"{network_id}/subnets/{name}", "name": name,
             "properties": {"addressPrefix": prefix, "provisioningState": "Succeeded"}}
            for name, prefix in network.subnets.items()
        ]  # fmt: skip
        properties = {"addressSpace": {"addressPrefixes": list(network.subnets.values())}, "subnets": subnets}
        document: Json = {"id": str(network_id), "name": network.name, "type": NETWORKS, "location": location,
                          "tags": {}, "properties": properties | {"provisioningState": "Succeeded"}}  # fmt: skip
        self.state.add(Resource(network_id, document))

    def put(self, call: Call) -> Answer:
        """Not to be created here."""
        refuse_unemulated("the creation of virtual networks", call.id.name)

    def patch(self, call: Call) -> Answer:
        """Not to be changed here."""
        refuse_unemulated("changes of virtual networks", call.id.name)

    def delete(self, call: Call) -> Answer:
        """Not to be removed here."""
        refuse_unemulated("the removal of virtual networks", call.id.name)

    def show(self, resource: Resource, query: Mapping[str, str]) -> Json:
        """The document."""
        return resource.document

    def act(self, call: Call, action: str) -> Answer:
        """`subnets` and `subnets/<name>`, to be read."""
        method, _, path = action.partition(" ")
        subnets = self.state.get(call.id).properties["subnets"]
        if method == "GET" and path == "subnets":
            return Answer(200, {"value": subnets})
        found = [each for each in subnets if path.lower() == f"subnets/{each['name']}".lower()]
        if method != "GET" or not path.startswith("subnets/"):
            refuse_unemulated(f"'{action}' of virtual networks", path)
        if not found:
            raise ArmRefusal(404, "NotFound", f"Resource {call.id}/{path} not found.")
        return Answer(200, found[0])


@dataclass(slots=True)
class NetworkKind:
    """Interfaces, addresses or security groups: the same rules of creation, use and removal, by `type`."""

    state: CloudState
    board: OperationBoard
    type: str
    api_version: str = VERSION
    queries: frozenset[str] = frozenset({"$expand"})

    def put(self, call: Call) -> Answer:
        """Create it or replace its document."""
        body = SCHEMAS[self.type].clean(call.body)
        if not body.get("location"):
            refuse_missing("location")
        existing = self.state.find(call.id)
        properties = copy.deepcopy(body.get("properties", {}))
        _FILL[self.type](self.state, call.id, properties, existing)
        kept = existing.properties if existing else {"resourceGuid": str(uuid.uuid4())}
        kept_names = ("resourceGuid", "macAddress", "virtualMachine", "ipAddress")
        properties |= {name: kept[name] for name in kept_names if name in kept}
        document = {"id": str(call.id), "name": call.id.name, "type": self.type, "location": body["location"],
                    "tags": body.get("tags", {}), "properties": properties}  # fmt: skip
        if self.type == ADDRESSES:
            document["sku"] = {"name": "Standard", "tier": "Regional"}
        resource = existing or Resource(call.id, document)
        resource.document = document
        self.state.add(resource)
        properties["provisioningState"] = "Updating"
        operation = self.board.begin(f"{self.type.partition('/')[2]}/write", resource, lambda: _succeeded(resource))
        return Answer(200 if existing else 201, self.show(resource, {}), operation)

    def patch(self, call: Call) -> Answer:
        """Change tags: all that a PATCH of these takes."""
        resource = self.state.get(call.id)
        resource.document["tags"] = (
            BodySchema("network", "TagsObject", emulated("tags")).clean(call.body).get("tags", {})
        )
        return Answer(200, self.show(resource, {}))

    def delete(self, call: Call) -> Answer:
        """Remove it, if nothing uses it."""
        resource = self.state.find(call.id)
        if resource is None:
            return Answer(204)
        self._check_unused(resource)
        name = f"{self.type.partition('/')[2]}/delete"
        return Answer(202, operation=self.board.begin(name, resource, lambda: self.state.remove(resource)))

    def show(self, resource: Resource, query: Mapping[str, str]) -> Json:
        """The document; an address or group shows which interface uses it."""
        users = nics_using(self.state, str(resource.id))
        if self.type == ADDRESSES and users:
            configuration = users[0].properties["ipConfigurations"][0]
            return resource.document | {
                "properties": resource.properties | {"ipConfiguration": {"id": configuration["id"]}}
            }
        return resource.document

    def act(self, call: Call, action: str) -> Answer:
        """Nothing."""
        raise ArmRefusal(405, "MethodNotAllowed", f"'{action}' isn't known for {self.type}.")

    def _check_unused(self, resource: Resource) -> None:
        name = resource.id.name
        if self.type == NICS and "virtualMachine" in resource.properties:
            machine = resource.properties["virtualMachine"]["id"]
            raise ArmRefusal(400, "NicInUse", f"Network Interface {name} is used by existing resource {machine}.")
        if nics_using(self.state, str(resource.id)):
            code = "InUseNetworkSecurityGroupCannotBeDeleted"
            code = "PublicIPAddressCannotBeDeleted" if self.type == ADDRESSES else code
            raise ArmRefusal(400, code, f"{name} can not be deleted since it is still allocated to a resource.")


def nics_using(state: CloudState, resource_id: str) -> list[Resource]:
    """The interfaces that name this address or security group."""
    return [nic for nic in state.of_type(NICS) if resource_id.lower() in _uses(nic.properties)]


def _uses(properties: Json) -> set[str]:
    found = [properties.get("networkSecurityGroup", {}).get("id", "")]
    for each in properties["ipConfigurations"]:
        found.append(each["properties"].get("publicIPAddress", {}).get("id", ""))
    return {each.lower() for each in found if each}


def _succeeded(resource: Resource) -> Json:
    resource.properties["provisioningState"] = "Succeeded"
    return resource.document


def _fill_nic(state: CloudState, nic_id: ResourceId, properties: Json, existing: Resource | None) -> None:
    if len(properties.get("ipConfigurations", [])) != 1:
        refuse_unemulated("an interface without exactly one IP configuration", "ipConfigurations")
    configuration = properties["ipConfigurations"][0]
    if not configuration.get("name"):
        refuse_missing("ipConfigurations[0].name")
    if "networkSecurityGroup" in properties:
        state.referred(properties["networkSecurityGroup"]["id"], SECURITY_GROUPS, "networkSecurityGroup.id")
    values = configuration.setdefault("properties", {})
    if "publicIPAddress" in values:
        _check_address(state, nic_id, values["publicIPAddress"]["id"])
    prefix = IPv4Network(_subnet(state, values.get("subnet", {}).get("id"))["addressPrefix"])
    values.setdefault("privateIPAllocationMethod", "Dynamic")
    values |= {"primary": True, "privateIPAddressVersion": "IPv4", "provisioningState": "Succeeded"}
    values["privateIPAddress"] = _private_address(state, nic_id, values, prefix, existing)
    configuration["id"] = f"{nic_id}/ipConfigurations/{configuration['name']}"
    for name in ("enableAcceleratedNetworking", "enableIPForwarding"):
        properties.setdefault(name, False)
    # Locally administered, beginning as Azure's own do.
    properties["macAddress"] = "-".join(["00", "0D", "3A", *(f"{each:02X}" for each in secrets.token_bytes(3))])


def _private_address(
    state: CloudState, nic_id: ResourceId, values: Json, prefix: IPv4Network, existing: Resource | None
) -> str:
    others = [nic for nic in state.of_type(NICS) if str(nic.id).lower() != str(nic_id).lower()]
    taken = {nic.properties["ipConfigurations"][0]["properties"]["privateIPAddress"] for nic in others}
    wanted = values.get("privateIPAddress")
    if values["privateIPAllocationMethod"] == "Dynamic" or wanted is None:
        old = existing.properties["ipConfigurations"][0]["properties"]["privateIPAddress"] if existing else ""
        if old and IPv4Address(old) in prefix:
            return str(old)
        free = (str(each) for each in list(prefix)[_RESERVED:-1] if str(each) not in taken)
        return next(free)
    if wanted in taken:
        raise ArmRefusal(400, "PrivateIPAddressInUse", f"IP address {wanted} is already allocated.")
    if IPv4Address(wanted) not in list(prefix)[_RESERVED:-1]:
        raise ArmRefusal(400, "PrivateIPAddressNotInSubnet", f"{wanted} isn't one of {prefix} that may be used.")
    return str(wanted)


def _subnet(state: CloudState, subnet_id: str | None) -> Json:
    if not subnet_id:
        refuse_missing("ipConfigurations[0].subnet.id")
    network = state.referred(subnet_id.rpartition("/subnets/")[0], NETWORKS, "subnet.id")
    for each in network.properties["subnets"]:
        if each["id"].lower() == subnet_id.lower():
            properties: Json = each["properties"]
            return properties
    raise ArmRefusal(404, "InvalidResourceReference", f"Resource {subnet_id} was not found.", target="subnet.id")


def _check_address(state: CloudState, nic_id: ResourceId, address_id: str) -> None:
    address = state.referred(address_id, ADDRESSES, "publicIPAddress.id")
    for nic in nics_using(state, str(address.id)):
        if str(nic.id).lower() != str(nic_id).lower():
            raise ArmRefusal(400, "PublicIPAddressInUse", f"{address_id} is already allocated to {nic.id}.")


def _fill_address(state: CloudState, address_id: ResourceId, properties: Json, existing: Resource | None) -> None:
    if properties.setdefault("publicIPAllocationMethod", "Static") != "Static":
        refuse_value("A standard public IP address has to be static.", "publicIPAllocationMethod")
    properties.setdefault("publicIPAddressVersion", "IPv4")
    taken = {each.properties["ipAddress"] for each in state.of_type(ADDRESSES)}
    properties["ipAddress"] = next(str(each) for each in _PUBLIC_NET.hosts() if str(each) not in taken)


def _fill_group(state: CloudState, group_id: ResourceId, properties: Json, existing: Resource | None) -> None:
    rules = properties.setdefault("securityRules", [])
    for rule in rules:
        rule["id"] = f"{group_id}/securityRules/{rule.get('name')}"
        values = rule.get("properties", {})
        for name in ("protocol", "access", "direction", "priority"):
            if name not in values:
                refuse_missing(f"securityRules.{name}")
        if not 100 <= values["priority"] <= 4096:
            refuse_value("A rule's priority has to be from 100 to 4096.", "securityRules.priority")
    places = [(rule["properties"]["direction"], rule["properties"]["priority"]) for rule in rules]
    if len(set(places)) < len(places):
        raise ArmRefusal(400, "SecurityRuleConflict", "Two rules have the same priority and direction.")


_FILL: dict[str, Callable[[CloudState, ResourceId, Json, Resource | None], None]] = {
    NICS: _fill_nic, ADDRESSES: _fill_address, SECURITY_GROUPS: _fill_group,
}  # fmt: skip

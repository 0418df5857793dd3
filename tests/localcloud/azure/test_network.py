"""Interfaces, public addresses and security groups through the SDK."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from azure.core.exceptions import ResourceNotFoundError

from tests.localcloud.azure.clients import GROUP, LOCATION, made, refused

if TYPE_CHECKING:
    from azure.mgmt.network import NetworkManagementClient


def interface(network: NetworkManagementClient, **values: object) -> Any:  # noqa: ANN401 - any body
    subnet = network.subnets.get(GROUP, "net", "servers")
    configuration = {"name": "ip", "properties": {"subnet": {"id": subnet.id}} | values}
    return {"location": LOCATION, "properties": {"ipConfigurations": [configuration]}}


def test_the_given_network_is_there_to_be_read(network: NetworkManagementClient) -> None:
    assert [each.name for each in network.virtual_networks.list(GROUP)] == ["net"]
    assert [each.address_prefix for each in network.subnets.list(GROUP, "net")] == ["10.20.0.0/24"]
    with pytest.raises(ResourceNotFoundError):
        network.subnets.get(GROUP, "net", "none")
    with refused("NotEmulated"):
        network.virtual_networks.begin_delete(GROUP, "net")


def test_an_interface_with_a_public_address_and_a_group(network: NetworkManagementClient) -> None:
    body: Any = {
        "location": LOCATION,
        "sku": {"name": "Standard"},
        "properties": {"publicIPAllocationMethod": "Static"},
    }
    address = network.public_ip_addresses.begin_create_or_update(GROUP, "address", body).result()
    rule = {"protocol": "Tcp", "access": "Allow", "direction": "Outbound", "priority": 100}
    body = {"location": LOCATION, "properties": {"securityRules": [{"name": "drs", "properties": rule}]}}
    group = network.network_security_groups.begin_create_or_update(GROUP, "group", body).result()
    body = interface(network, publicIPAddress={"id": address.id})
    body["properties"]["networkSecurityGroup"] = {"id": group.id}
    nic = network.network_interfaces.begin_create_or_update(GROUP, "nic", body).result()
    assert nic.ip_configurations[0].private_ip_address == "10.20.0.4"
    assert network.public_ip_addresses.get(GROUP, "address").ip_address == "203.0.113.1"
    again = network.network_interfaces.begin_create_or_update(GROUP, "nic", nic).result()
    assert (again.mac_address, again.ip_configurations[0].private_ip_address) == (nic.mac_address, "10.20.0.4")
    with refused("PublicIPAddressCannotBeDeleted"):
        network.public_ip_addresses.begin_delete(GROUP, "address")
    with refused("InUseNetworkSecurityGroupCannotBeDeleted"):
        network.network_security_groups.begin_delete(GROUP, "group")
    with refused("PublicIPAddressInUse"):
        network.network_interfaces.begin_create_or_update(
            GROUP, "other", interface(network, publicIPAddress={"id": address.id})
        )
    for operations, name in (
        (network.network_interfaces, "nic"),
        (network.public_ip_addresses, "address"),
        (network.network_security_groups, "group"),
    ):
        operations.begin_delete(GROUP, name).result()
        with pytest.raises(ResourceNotFoundError):
            operations.get(GROUP, name)


def test_addresses_are_given_out_once(network: NetworkManagementClient) -> None:
    static = {"privateIPAllocationMethod": "Static", "privateIPAddress": "10.20.0.9"}
    network.network_interfaces.begin_create_or_update(GROUP, "a", interface(network, **static)).result()
    with refused("PrivateIPAddressInUse"):
        network.network_interfaces.begin_create_or_update(GROUP, "b", interface(network, **static))
    outside = static | {"privateIPAddress": "10.21.0.9"}
    with refused("PrivateIPAddressNotInSubnet"):
        network.network_interfaces.begin_create_or_update(GROUP, "b", interface(network, **outside))
    body: Any = interface(network)
    body["properties"]["ipConfigurations"][0]["properties"]["subnet"]["id"] += "x"
    with refused("InvalidResourceReference"):
        network.network_interfaces.begin_create_or_update(GROUP, "b", body)
    body["properties"]["dnsSettings"] = {"dnsServers": ["10.0.0.1"]}
    with refused("NotEmulated"):
        network.network_interfaces.begin_create_or_update(GROUP, "b", body)


def test_groups_with_clashing_rules(network: NetworkManagementClient) -> None:
    rule = {"protocol": "Tcp", "access": "Allow", "direction": "Outbound", "priority": 100}
    body: Any = {
        "location": LOCATION,
        "properties": {"securityRules": [{"name": each, "properties": rule} for each in "ab"]},
    }
    with refused("SecurityRuleConflict"):
        network.network_security_groups.begin_create_or_update(GROUP, "group", body)
    body["properties"]["securityRules"][0]["properties"] = rule | {"priority": 5}
    with refused("InvalidParameter"):
        network.network_security_groups.begin_create_or_update(GROUP, "group", body)
    assert made(network.subnets.get(GROUP, "net", "servers").id).endswith("/subnets/servers")

"""Addresses: internal ones reserved in a subnetwork, and which addresses of a subnetwork are free.

Source: the description of Address in the SDK's messages; cloud.google.com, "Reserve a static internal IP address". The
first two and the last two addresses of a subnetwork are Google's own.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address, IPv4Network
from typing import TYPE_CHECKING

from localcloud.google.front import Method
from localcloud.google.labels import labelled, set_labels
from localcloud.google.refusals import (
    GoogleRefusal,
    Json,
    refuse_in_use,
    refuse_missing,
    refuse_unemulated,
    refuse_value,
)
from localcloud.google.schema import BodySchema, emulated, take_name
from localcloud.google.state import ResourceId

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from localcloud.google.front import Call
    from localcloud.google.operations import Operation, OperationBoard
    from localcloud.google.state import CloudState, Resource

_ADDRESS = BodySchema(
    "Address",
    emulated("name", "description", "address", "addressType", "subnetwork", "purpose", "labels", "networkTier"),
)


@dataclass(slots=True)
class Addresses:
    """The reserved addresses of one project."""

    state: CloudState
    board: OperationBoard
    collection: str = "addresses"
    scope: str = "regions"
    kind: str = "address"

    @property
    def methods(self) -> Mapping[str, Method]:
        """insert, delete, setLabels."""
        return {
            "insert": Method(self.insert),
            "delete": Method(self.delete),
            "setLabels": Method(lambda call: set_labels(self.state, self.board, call)),
        }

    def one(self, resource_id: ResourceId) -> Json:
        """The document with what uses the address now."""
        return self._shown(self.state.get(resource_id))

    def every(self, scope: str) -> Iterable[Json]:
        """A region's addresses."""
        return [self._shown(each) for each in self.state.of(self.collection, scope)]

    def insert(self, call: Call) -> Operation:
        """Reserve the address that the body names, or a free one."""
        body = _ADDRESS.clean(call.body)
        place = ResourceId(call.id.project, call.id.scope, self.collection, take_name(body))
        if body.get("addressType") != "INTERNAL" or "networkTier" in body:
            refuse_unemulated("resource.addressType", "addresses that aren't INTERNAL")
        if body.get("purpose", "GCE_ENDPOINT") != "GCE_ENDPOINT":
            refuse_unemulated("resource.purpose", "addresses of other purposes than GCE_ENDPOINT")
        url = body.get("subnetwork") or refuse_missing("resource.subnetwork")
        subnetwork = self.state.referred(url, "subnetworks", "resource.subnetwork", scope=call.id.scope)
        address = self.state.new(
            place,
            body
            | labelled(body)
            | {
                "purpose": "GCE_ENDPOINT",
                "networkTier": "PREMIUM",
                "status": "RESERVING",
                "subnetwork": subnetwork.link,
            },
            kind=self.kind,
        )
        asked = body.get("address")
        address.document["address"] = (
            check_address(self.state, subnetwork, asked, "resource.address")
            if asked
            else free_address(self.state, subnetwork)
        )
        self.state.add(address)

        def finish() -> None:
            address.document["status"] = "RESERVED"

        return self.board.begin(
            "addresses.insert", address, finish, holds=(address,), undo=lambda: self.state.remove(address)
        )

    def delete(self, call: Call) -> Operation:
        """Give an address back that nothing uses."""
        address = self.state.get(call.id)
        users = self._shown(address).get("users")
        if users:
            refuse_in_use("address", str(address), users[0].partition("/compute/v1/")[2])
        return self.board.begin("addresses.delete", address, lambda: self.state.remove(address), holds=(address,))

    def _shown(self, address: Resource) -> Json:
        document = address.document
        users = [user for used, user in _used(self.state, document["subnetwork"]) if used == document["address"]]
        document.pop("users", None)
        if document["status"] != "RESERVING":
            document["status"] = "IN_USE" if users else "RESERVED"
        if users:
            document["users"] = users
        return document


def free_address(state: CloudState, subnetwork: Resource) -> str:
    """An address of the subnetwork that nobody has or has reserved."""
    cidr = IPv4Network(subnetwork.document["ipCidrRange"])
    taken = {used for used, _ in _used(state, subnetwork.link)} | set(_reserved(state, subnetwork))
    for number in range(2, cidr.num_addresses - 2):
        if str(cidr[number]) not in taken:
            return str(cidr[number])
    message = f"IP space of '{subnetwork}' is exhausted."
    raise GoogleRefusal(400, "ipSpaceExhausted", message)


def check_address(
    state: CloudState, subnetwork: Resource, address: str, field: str, *, reserved_fits: bool = False
) -> str:
    """Refuse an address that isn't the subnetwork's, or that's taken; `reserved_fits`: by a machine, not by a name."""
    cidr = IPv4Network(subnetwork.document["ipCidrRange"])
    try:
        number = int(IPv4Address(address)) - int(cidr[0])
    except AddressValueError:
        refuse_value(field, address, "It isn't an IPv4 address.")
    if not 2 <= number < cidr.num_addresses - 2:
        refuse_value(field, address, f"It isn't a usable address of {cidr}.")
    users = [user for used, user in _used(state, subnetwork.link) if used == address]
    if users or (not reserved_fits and address in _reserved(state, subnetwork)):
        message = f"IP '{address}' is already being used by another resource."
        raise GoogleRefusal(400, "ipInUseByAnotherResource", message)
    return address


def _used(state: CloudState, subnetwork: str) -> Iterator[tuple[str, str]]:
    """Each address that an instance has in the subnetwork, and the instance's URL."""
    for instance in state.of("instances"):
        for nic in instance.document["networkInterfaces"]:
            if nic["subnetwork"] == subnetwork:
                yield nic["networkIP"], instance.link


def _reserved(state: CloudState, subnetwork: Resource) -> list[str]:
    found = state.of("addresses", subnetwork.id.scope)
    return [each.document["address"] for each in found if each.document["subnetwork"] == subnetwork.link]

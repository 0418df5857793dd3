"""A seam in EC2: the security groups of a network interface are exchanged, and those of its instance with them.

moto would keep the instance's old groups beside the new ones, and take groups that aren't there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from localcloud.moto_seams.pins import Inside, Swaps

MODIFY = "moto.ec2.models.elastic_network_interfaces:NetworkInterfaceBackend.modify_network_interface_attribute"


def seam_interfaces(swaps: Swaps) -> None:
    """Let ModifyNetworkInterfaceAttribute do what EC2 does (API reference of the same name)."""
    from localcloud.moto_seams.pins import find

    owner, name = find(MODIFY)
    modify = getattr(owner, name)

    def exchange(ec2: Inside, eni_id: str, group_ids: Sequence[str], *rest: Inside) -> None:
        _check_groups(ec2, group_ids)
        modify(ec2, eni_id, group_ids, *rest)
        interface = ec2.get_network_interface(eni_id)
        # An instance's own groups are those of its first interface.
        if group_ids and interface.instance is not None and interface.device_index == 0:
            interface.instance.security_groups = list(interface._group_set)

    swaps.function(MODIFY, exchange)


def _check_groups(ec2: Inside, group_ids: Sequence[str]) -> None:
    from moto.ec2.exceptions import InvalidSecurityGroupNotFoundError

    for group in group_ids:
        if ec2.get_security_group_from_id(group) is None:
            raise InvalidSecurityGroupNotFoundError(group)

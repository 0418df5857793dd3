"""What a client machine finds around it, by link-local addresses: metadata service, STS, DRS, recovery instances."""

from __future__ import annotations

from urllib.parse import urlsplit

from localcloud.machines.spec import Forward

METADATA_ADDRESS = "169.254.169.254"
STS_ADDRESS = "169.254.169.253"
DRS_ADDRESS = "169.254.169.252"
DRS_ENDPOINT = f"http://{DRS_ADDRESS}"
"""What a client's settings name as the endpoint of DRS."""
REPLICATION_PORT = 1500


def forward_to(url: str, *, address: str, port: int) -> Forward:
    """The guest's connections to `address`:`port` go to the server that a URL of 127.0.0.1 names."""
    local = urlsplit(url).port
    assert local is not None
    return Forward(address, port, local)


def metadata_forward(url: str) -> Forward:
    """The metadata service at its one address."""
    return forward_to(url, address=METADATA_ADDRESS, port=80)


def sts_forward(url: str) -> Forward:
    """An STS at the address that its certificate has to name."""
    return forward_to(url, address=STS_ADDRESS, port=443)


def drs_forward(url: str) -> Forward:
    """DRS's door for failback clients."""
    return forward_to(url, address=DRS_ADDRESS, port=80)


def recovery_forward(address: str, *, to_port: int) -> Forward:
    """A recovery instance's replication port; one listener stands for all, so it's told which one is meant."""
    return Forward(address, REPLICATION_PORT, to_port, announced=True)

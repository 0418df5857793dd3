"""How this product talks to AWS: one kind of client for every service, its time-outs and retries in one place."""

from __future__ import annotations

from typing import Any, TypeAlias

Client: TypeAlias = Any
"""boto3's clients are made from models at run time; each adapter names the type of its own."""

# A throttled or lost call is tried ten times: the standard mode waits up to 20 s between two, 30 s on the average in
# all, which a burst of throttling seldom outlasts and a Lambda of ten minutes bears.
ATTEMPTS = 10
# For who comes again by itself within a minute: four seconds on the average, eight at the most.
FEW_ATTEMPTS = 4
# The most calls that one stage has under way (50 blocks of a snapshot, 48 reads of another), and some to spare.
CONNECTIONS = 64
# A connection inside a Region is made in a few milliseconds; SYN packets are repeated after 1, 3 and 7 s.
CONNECT_SECONDS = 8
# Between two packets of an answer, not for all of it: 16 MiB, the largest part, arrive in a tenth of that at 3 MB/s.
READ_SECONDS = 60


def client(service: str, *, region: str = "", attempts: int = ATTEMPTS) -> Client:
    """A boto3 client of `service` in `region` (the surroundings' own where it's empty).

    STS is asked at its regional endpoint, which alone gives web identity tokens. An endpoint set in the surroundings
    (AWS_ENDPOINT_URL) wins, as boto3 has it. A call is made `attempts` times at the most.
    """
    import boto3
    from botocore.config import Config

    settings = Config(
        retries={"mode": "standard", "total_max_attempts": attempts},
        max_pool_connections=CONNECTIONS,
        connect_timeout=CONNECT_SECONDS,
        read_timeout=READ_SECONDS,
        tcp_keepalive=True,
    )
    make: Client = boto3.client
    return make(service, region_name=region or None, config=settings)

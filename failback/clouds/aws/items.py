"""The items of the run log's table in DynamoDB: string keys `pk` and `sk`, and the index `recent` (`kind`, `started`).

| pk | sk | holds |
|---|---|---|
| run#ID | run | `record`, and `outcome` and `ended` once it's closed; `kind` and `started` for the index |
| run#ID | stage#NAME | `entry`, and beside it `began` (of the first call), `calls` (how many), `at_work` (unended) |
| run#ID | server#ID | a server's `request`, and as they come `plan`, `before`, `progress`, `outcome`, or a milestone |
| run#ID | server#ID#stage#NAME | as a stage of the run |
| run#ID | decision#SUBJECT#SCOPE#AT | `decision`; never changed |
| run#ID | launch#BATCH | `batch` |
| lease#NAME | lease | `holder`, and `until` in seconds since 1970 |
| waiting | MILESTONE#RUN#SERVER | `parked`, and its `token` once more, for conditions |

Models are JSON text. `expires` (seconds since 1970) is the table's time to live.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef

    Item = dict[str, AttributeValueTypeDef]

# A little more than a year, so that an audit of the last one finds all of it.
KEPT = timedelta(days=400)
WAITING = "waiting"
SERVERS = "server#"
DECISIONS = "decision#"
_STAGE = "stage#"


def key(pk: str, sk: str) -> Item:
    """The key of an item."""
    return {"pk": {"S": pk}, "sk": {"S": sk}}


def partition(run: str) -> str:
    """Where all of a run's items are."""
    return f"run#{run}"


def server_key(run: str, server: str) -> Item:
    """The key of a server's record."""
    return key(partition(run), f"{SERVERS}{server}")


def stage_key(run: str, stage: str, server: str) -> Item:
    """The key of a stage's entry: of the run, or of one `server` of it."""
    before = f"{SERVERS}{server}#" if server else ""
    return key(partition(run), f"{before}{_STAGE}{stage}")


def stage_owner(sk: str) -> str | None:
    """Whose stage an item with that `sk` is: a server's id, empty for the run itself; None if it's no stage's."""
    if not sk.startswith((_STAGE, SERVERS)):
        return None
    before, found, _ = sk.partition(_STAGE)
    return before.removeprefix(SERVERS).removesuffix("#") if found else None


def moment(time: datetime) -> str:
    """ISO 8601 in UTC, always with microseconds: its order as text is that of the times."""
    return time.astimezone(UTC).isoformat(timespec="microseconds")


def expiry(since: datetime) -> AttributeValueTypeDef:
    """When an item goes by itself."""
    return {"N": str(int((since + KEPT).timestamp()))}

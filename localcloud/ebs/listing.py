"""Lists of a snapshot's blocks and of what two snapshots differ in, in pages; the tokens to read them."""

from __future__ import annotations

import heapq
from itertools import groupby, islice
from typing import TYPE_CHECKING, Any

from localcloud.ebs.record import BLOCK
from localcloud.ebs.refusal import invalid
from localcloud.ebs.ticket import BLOCK_TOKEN_LIFE, PAGE_TOKEN_LIFE, TicketOffice

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from datetime import datetime

    from localcloud.ebs.record import SnapshotRecord
    from localcloud.ebs.store import SnapshotStore

LARGEST_PAGE = 10_000
"""Blocks of a page, also where the caller doesn't say."""

Values = dict[str, Any]


class BlockLister:
    """ListSnapshotBlocks and ListChangedBlocks; `completed` gives a caller's finished snapshot or refuses."""

    def __init__(self, store: SnapshotStore, completed: Callable[[str, str], SnapshotRecord]) -> None:
        self._store, self._completed = store, completed
        self._office = TicketOffice(store.folder / "tokens.key")

    def list_blocks(self, caller: str, values: Mapping[str, Any]) -> Values:
        """A page of present blocks."""
        record = self._completed(caller, values["SnapshotId"])
        scope = f"list {record.id}"
        start = self._start(scope, values, record)
        size, now = values.get("MaxResults", LARGEST_PAGE), self._store.clock()
        found = [index for index, _ in islice(self._store.blocks(record.id, start), size + 1)]
        blocks = [{"BlockIndex": each, "BlockToken": self._token(record.id, each, now)} for each in found[:size]]
        return {"Blocks": blocks, **self._page(record, scope, found, size, now)}

    def list_changed(self, caller: str, values: Mapping[str, Any]) -> Values:
        """A page of the blocks that differ; all of the second snapshot's where no first one is named."""
        second = self._completed(caller, values["SecondSnapshotId"])
        name = values.get("FirstSnapshotId")
        first = self._completed(caller, name) if name else None
        if first is not None and (first.lineage != second.lineage or first.size > second.size):
            raise invalid(
                reason="UNRELATED_SNAPSHOTS", message=f"'{first.id}' and '{second.id}' aren't of the same volume"
            )
        scope = f"changed {name} {second.id}"
        start = self._start(scope, values, second)
        size, now = values.get("MaxResults", LARGEST_PAGE), self._store.clock()
        found = list(islice(self._differences(first, second, start), size + 1))
        blocks = [self._changed(first, second, each, now) for each in found[:size]]
        page = self._page(second, scope, [index for index, _, _ in found], size, now)
        return {"ChangedBlocks": blocks, **page}

    def check_block_token(self, token: str, snapshot: str, index: int) -> None:
        """Refuse a token that isn't of this block of this snapshot, or no longer."""
        if self._office.take(token, self._store.clock()) != f"block {snapshot} {index}":
            raise invalid(
                reason="INVALID_BLOCK_TOKEN", message=f"The token isn't valid for block {index} of '{snapshot}'"
            )

    def _token(self, snapshot: str, index: int, now: datetime) -> str:
        return self._office.give(f"block {snapshot} {index}", now + BLOCK_TOKEN_LIFE)

    def _start(self, scope: str, values: Mapping[str, Any], record: SnapshotRecord) -> int:
        """Where the page begins; a page token wins over StartingBlockIndex."""
        token = values.get("NextToken")
        if token is None:
            start: int = values.get("StartingBlockIndex", 0)
            if start >= record.blocks:
                raise invalid(
                    reason="INVALID_PARAMETER_VALUE", message=f"StartingBlockIndex is beyond the {record.blocks} blocks"
                )
            return start
        subject = self._office.take(token, self._store.clock())
        if subject is None or not subject.startswith(f"{scope} from "):
            raise invalid(reason="INVALID_PAGE_TOKEN", message="The page token has expired or isn't of this request")
        return int(subject.rpartition(" ")[2])

    def _page(self, record: SnapshotRecord, scope: str, found: list[int], size: int, now: datetime) -> Values:
        following = found[size] if len(found) > size else None
        token = None
        if following is not None:
            token = self._office.give(f"{scope} from {following}", now + PAGE_TOKEN_LIFE)
        expires = now + BLOCK_TOKEN_LIFE
        return {"ExpiryTime": expires, "VolumeSize": record.size, "BlockSize": BLOCK, "NextToken": token}

    def _differences(
        self, first: SnapshotRecord | None, second: SnapshotRecord, start: int
    ) -> Iterator[tuple[int, bool, bool]]:
        """Index, and whether the first and the second have the block."""
        old = ((index, 0, digest) for index, digest in (self._store.blocks(first.id, start) if first else ()))
        new = ((index, 1, digest) for index, digest in self._store.blocks(second.id, start))
        for index, entries in groupby(heapq.merge(old, new), key=lambda entry: entry[0]):
            digests = {side: digest for _, side, digest in entries}
            if digests.get(0) != digests.get(1):
                yield index, 0 in digests, 1 in digests

    def _changed(
        self, first: SnapshotRecord | None, second: SnapshotRecord, found: tuple[int, bool, bool], now: datetime
    ) -> Values:
        index, in_first, in_second = found
        block: Values = {"BlockIndex": index}
        if first is not None and in_first:
            block["FirstBlockToken"] = self._token(first.id, index, now)
        if in_second:
            block["SecondBlockToken"] = self._token(second.id, index, now)
        return block

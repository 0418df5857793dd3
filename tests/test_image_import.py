"""Importing: slice after slice through the port, until the image is there; then at once."""

from __future__ import annotations

from failback.image_import import import_image
from tests.home.memory import MemoryContent, MemoryHomeImages

CONTENT = MemoryContent((24 << 20) + 512, {0: b"a" * (9 << 20), 24 << 20: b"f" * 512})


def test_slices_end_with_the_image() -> None:
    images, cursor, seen = MemoryHomeImages(), None, []
    for _ in range(20):
        result = import_image("key", CONTENT, images=images, cursor=cursor, tags={})
        seen.append(result.status)
        assert result.progress is not None
        assert result.progress.total == CONTENT.size
        if result.status == "done":
            break
        assert result.facts is None
        cursor = result.cursor
    assert seen[-1] == "done"
    assert set(seen[:-1]) <= {"more", "pending"}
    assert result.facts is not None
    assert images.find("key") == result.facts
    assert bytes(images.images["key"].data) == CONTENT.whole()
    again = import_image("key", CONTENT, images=images, cursor=None, tags={})
    assert (again.status, again.facts) == ("done", result.facts)

"""A home in memory: what the contract of the ports says and no more, for tests of whoever works with a home."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from failback.errors import ImportFailed
from failback.home_ports import ImageImport
from failback.model.ending import Belonging
from failback.model.run import HomeImage
from failback.naming import RUN_TAG, SERVER_TAG, image_name
from tests.home.memory_machines import MemoryHomeMachines, MemoryMachine

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pydantic import JsonValue

    from failback.home_ports import ImageContent
    from tests.home.memory_takeovers import MemoryTakeovers

__all__ = [
    "MemoryBelongings",
    "MemoryContent",
    "MemoryHomeImages",
    "MemoryHomeMachines",
    "MemoryImage",
    "MemoryMachine",
]
PIECE = 4 << 20


@dataclass(frozen=True)
class MemoryContent:
    """An ImageContent: `parts` by their offsets, zeros elsewhere."""

    size: int
    parts: Mapping[int, bytes]

    def ranges(self, first: int = 0) -> Iterator[tuple[int, int]]:
        """What the parts take, in pieces."""
        for offset, data in sorted(self.parts.items()):
            for start in range(max(offset, first), offset + len(data), PIECE):
                yield start, min(PIECE, offset + len(data) - start)

    def read(self, offset: int, length: int) -> bytes:
        """That range, of one part or of zeros."""
        for start, data in self.parts.items():
            if start <= offset and offset + length <= start + len(data):
                return data[offset - start : offset - start + length]
        return bytes(length)

    def whole(self) -> bytes:
        """All of it."""
        result = bytearray(self.size)
        for offset, data in self.parts.items():
            result[offset : offset + len(data)] = data
        return bytes(result)


@dataclass
class MemoryImage:
    """An image that's being imported, and then there."""

    image: HomeImage
    data: bytearray
    tags: dict[str, str]
    whole: bool = False
    notes: list[str] = field(default_factory=list)


@dataclass
class MemoryHomeImages:
    """A HomeImages; each call takes `slice` bytes of what holds data, one piece at least."""

    slice: int = 1 << 30
    images: dict[str, MemoryImage] = field(default_factory=dict)

    def format(self) -> Literal["vhd"]:
        return "vhd"

    def find(self, key: str) -> HomeImage | None:
        found = self.images.get(key)
        return found.image if found and found.whole else None

    def advance(
        self, key: str, content: ImageContent, *, cursor: Mapping[str, JsonValue], tags: Mapping[str, str]
    ) -> ImageImport:
        if (content.size - 512) % (1 << 20):
            message = f"{content.size} bytes are no VHD of whole MiB; export the image again."
            raise ImportFailed(message)
        new = MemoryImage(HomeImage(id=f"memory/{key}", name=image_name(key), key=key), bytearray(), dict(tags))
        held = self.images.setdefault(key, new)
        if held.whole:
            return ImageImport(held.image, {}, content.size, content.size)
        if not held.data:
            held.data, cursor = bytearray(content.size), {}
        reached = self._copy(held, content, cursor.get("next", 0))
        if reached < content.size:
            return ImageImport(None, {"next": reached}, reached, content.size)
        held.whole = True
        return ImageImport(held.image, {}, content.size, content.size)

    def note_test(self, image: HomeImage, mark: str) -> HomeImage:
        held = self.images[image.key]
        held.notes.append(mark)
        held.image = image.model_copy(update={"tested": True})
        return held.image

    def _copy(self, held: MemoryImage, content: ImageContent, first: JsonValue) -> int:
        assert isinstance(first, int)
        copied, reached = 0, first
        for offset, length in content.ranges(first):
            if copied and copied + length > self.slice:
                return reached
            held.data[offset : offset + length] = content.read(offset, length)
            copied, reached = copied + length, offset + length
        return content.size


@dataclass
class MemoryBelongings:
    """A Belongings of such a home: nothing goes before what uses it. Snapshots are those of `takeovers`."""

    images: MemoryHomeImages
    machines: MemoryHomeMachines
    takeovers: MemoryTakeovers | None = None

    def made_by(self, run: str, *, server: str = "") -> Sequence[Belonging]:
        return [each for of, each in self._made_by(run) if server in {"", of}]

    def of_run(self, run: str) -> Sequence[Belonging]:
        return [each for of, each in self._made_by(run) if not of]

    def _made_by(self, run: str) -> Iterator[tuple[str, Belonging]]:
        held, whole = self.machines, self.takeovers
        if whole is not None:
            whole.find_all()
        kinds: dict[str, dict[str, Mapping[str, str]]] = {
            "machine": {name: each.machine.tags for name, each in held.machines.items()},
            "interface": {name: each.tags for name, each in held.interfaces.items()},
            "disk": {name: each.tags for name, each in held.disks.items()},
            "snapshot": whole.snapshots if whole else {},
            "image": {each.image.name: each.tags for each in self.images.images.values()},
        }
        for kind, things in kinds.items():
            for name, tags in things.items():
                if tags.get(RUN_TAG) == run:
                    thing = Belonging(cloud="memory", kind=kind, id=f"{kind}/{name}", name=name)
                    yield tags.get(SERVER_TAG, ""), thing

    def remove(self, belonging: Belonging) -> bool:
        name, held = belonging.name, self.machines
        if belonging.kind == "machine":
            if name in held.machines and name not in held.going:
                held.going.add(name)
                return False
            held.going.discard(name)
            held.machines.pop(name, None)
        elif belonging.kind == "interface":
            if name in held.machines:
                return False
            held.interfaces.pop(name, None)
        elif belonging.kind == "disk":
            if self._used(name):
                return False
            held.disks.pop(name, None)
        elif belonging.kind == "snapshot" and self.takeovers is not None:
            self.takeovers.snapshots.pop(name, None)
        else:
            self._forget_image(name)
        return True

    def command(self, belonging: Belonging) -> str:
        return f"forget {belonging.id}"

    def _used(self, disk: str) -> bool:
        held = self.machines
        if self.takeovers is not None:
            return bool(self.takeovers.user_of(disk))
        return disk in held.disks and held.disks[disk].machine in held.machines

    def _forget_image(self, name: str) -> None:
        for key in [key for key, each in self.images.images.items() if each.image.name == name]:
            del self.images.images[key]

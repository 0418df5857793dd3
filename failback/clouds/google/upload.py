"""A client image on its way home: parts in the target's bucket, put together to one object, which an image is made of.

A resumable upload of the whole would be kept open by an address that lets whoever has it write, so it would be a secret
in the run's state. Instead every part is an object of its own, sent by a resumable upload that ends with it. Parts are
written only where there's none, and composed only onto what was looked at, so that everything may be done again.

Source: "JSON API overview" of Cloud Storage, "Composite objects" (32 sources at most; an object may be composed onto
itself), "Request preconditions".
"""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from failback.clouds.google import refusals
from failback.clouds.google.checksums import as_text, crc32c_of, from_text, joined
from failback.clouds.google.labels import label_key, label_value, labels_of
from failback.errors import CloudBusy, FailbackError, ImportFailed
from failback.naming import IMAGE_TAG
from failback.transfer import AdaptiveGate, jittered, run_all

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from failback.clouds.google.place import GooglePlace
    from failback.home_ports import ImageContent
    from failback.ports import Clock

MIB = 1 << 20
FOLDER = "images/"
"""What the names of all our objects begin with."""
PART = 32 * MIB
"""Bytes of a part, whole times 256 KiB. At 60 MiB/s one takes half a second, its session 0.1 s more."""
MOST_SOURCES = 32

MOST = 6
"""Parts at once, read and sent by a thread each: 192 MiB at most."""
ATTEMPTS = 6
CONNECT_SECONDS, ANSWER_SECONDS = 10, 60
AGAIN_SECONDS, FIRST_WAIT, LONGEST_WAIT = 25.0, 0.2, 8.0
"""How long one request is made again while Cloud Storage is busy, and the waits between, twice as long each time."""
IMAGE_LABEL = label_key(IMAGE_TAG)


@dataclass(frozen=True, slots=True)
class Slice:
    """How much one call uploads: until `seconds` have gone by or `size` bytes were taken, one part of `part` at least.

    An upload's parts are all of one size, so `part` stays the same from its first call to its last.
    """

    seconds: int = 20
    size: int = 2 << 30
    part: int = PART


def folder_of(key: str) -> str:
    """What the names of an image's objects begin with."""
    return f"{FOLDER}{key}/"


def storage_options() -> dict[str, Any]:
    """The time limits of a request to Cloud Storage."""
    from google.cloud.storage.retry import DEFAULT_RETRY  # type: ignore[import-untyped]

    again = DEFAULT_RETRY.with_timeout(AGAIN_SECONDS).with_delay(initial=FIRST_WAIT, maximum=LONGEST_WAIT)
    return {"timeout": (CONNECT_SECONDS, ANSWER_SECONDS), "retry": again}


@dataclass(frozen=True, slots=True)
class Upload:
    """The objects of the image with that key."""

    place: GooglePlace
    key: str
    clock: Clock
    limits: Slice = field(default_factory=Slice)
    backoff: Callable[[int], float] = jittered

    @property
    def whole_name(self) -> str:
        """The object that an image is made of."""
        return f"{folder_of(self.key)}client.tar.gz"

    @property
    def source(self) -> str:
        """The whole object as Compute takes it."""
        return f"https://storage.googleapis.com/{self.place.target.bucket}/{self.whole_name}"

    def part_name(self, index: int) -> str:
        """The object of a part, counted from 0 on."""
        return f"{folder_of(self.key)}part-{index:05d}"

    def send(self, content: ImageContent, first: int, tags: Mapping[str, str]) -> int:
        """Send a slice of parts from the one at offset `first` on, and give the offset that it reaches."""
        work = _Work(content.size, first, clock=self.clock, limits=self.limits)
        sender = _Sender(self, content, self._labels(tags))
        run_all(work.parts(), sender.send, gate=AdaptiveGate(MOST, most=MOST), attempts=ATTEMPTS, backoff=self.backoff)
        return work.reached

    def assemble(self, size: int, tags: Mapping[str, str]) -> str | None:
        """Put the parts together, as far as a slice goes: the generation of the whole object of `size` bytes.

        Empty while it isn't whole yet; None where a part isn't there (any more), so that all is to be sent again.
        """
        from google.api_core.exceptions import NotFound, PreconditionFailed

        held = {each.name: each for each in self._listed(folder_of(self.key))}
        parts = self._parts(held, size)
        if parts is None:
            return None
        until = self.clock.now() + timedelta(seconds=self.limits.seconds)
        whole = held.get(self.whole_name)
        if whole is not None and not self._is_made_of(whole, parts):
            # What's left of another export.
            whole.delete(if_generation_match=whole.generation, **storage_options())
            whole = None
        while whole is None or whole.size < size:
            done = -(-whole.size // self.limits.part) if whole else 0
            if self.clock.now() >= until:
                return ""
            sources = [*([whole] if whole else []), *parts[done:]][:MOST_SOURCES]
            before, whole = whole, self.bucket.blob(self.whole_name)
            whole.metadata, whole.content_type = self._labels(tags), "application/gzip"
            try:
                whole.compose(sources, if_generation_match=before.generation if before else 0, **storage_options())
            except (PreconditionFailed, NotFound):
                # Done by an attempt whose answer was lost, or by another run: the next call looks at it. Somebody
                # else's object in its place is an error.
                self.found(self.whole_name)
                return ""
            if not self._is_made_of(whole, parts):
                message = f"{self.whole_name} isn't what its parts make: it's put together anew"
                raise CloudBusy(message)
        return str(whole.generation)

    def is_whole(self, generation: str) -> bool:
        """Whether the whole object is still the one that was put together."""
        whole = self.found(self.whole_name)
        return whole is not None and str(whole.generation) == generation

    def remove_parts(self) -> None:
        """Remove the parts."""
        self._remove(f"{folder_of(self.key)}part-")

    def remove_all(self) -> None:
        """Remove the parts and the whole."""
        self._remove(folder_of(self.key))

    @property
    def bucket(self) -> Any:  # noqa: ANN401 - Cloud Storage's SDK has no types
        """The target's bucket."""
        return self.place.clients.storage.bucket(self.place.target.bucket)

    def found(self, name: str) -> Any:  # noqa: ANN401 - as above
        """An object of ours, or None; raises ImportFailed for somebody else's."""
        blob = self.bucket.get_blob(name, **storage_options())
        if blob is not None and not self._is_ours(blob):
            message = (
                f"There's an object gs://{self.place.target.bucket}/{name} in the way that is no part of the client "
                f"image (metadata {IMAGE_LABEL}). Rename or remove it, and start again."
            )
            raise ImportFailed(message)
        return blob

    def _labels(self, tags: Mapping[str, str]) -> dict[str, str]:
        return labels_of({**tags, IMAGE_TAG: self.key})

    def _is_ours(self, blob: Any) -> bool:  # noqa: ANN401 - as above
        return bool((blob.metadata or {}).get(IMAGE_LABEL) == label_value(self.key))

    def _listed(self, prefix: str) -> list[Any]:
        storage = self.place.clients.storage
        blobs = storage.list_blobs(self.place.target.bucket, prefix=prefix, **storage_options())
        return [each for each in blobs if self._is_ours(each)]

    def _parts(self, held: Mapping[str, Any], size: int) -> list[Any] | None:
        """All parts in order, of our objects by their names."""
        names = [self.part_name(index) for index in range(-(-size // self.limits.part))]
        parts = [held.get(name) for name in names]
        lengths = [min(self.limits.part, size - index * self.limits.part) for index in range(len(parts))]
        fit = all(part is not None and part.size == length for part, length in zip(parts, lengths, strict=True))
        return parts if fit else None

    def _is_made_of(self, whole: Any, parts: Sequence[Any]) -> bool:  # noqa: ANN401 - as above
        """Whether an object is just the first of these parts, by size and checksum."""
        inside = parts[: -(-whole.size // self.limits.part)]
        if sum(each.size for each in inside) != whole.size:
            return False
        return joined((from_text(each.crc32c), each.size) for each in inside) == from_text(whole.crc32c)

    def _remove(self, prefix: str) -> None:
        from google.api_core.exceptions import NotFound

        def remove(blob: Any) -> None:  # noqa: ANN401 - as above
            try:
                blob.delete(**storage_options())
            except NotFound:
                return

        run_all(self._listed(prefix), remove, gate=AdaptiveGate(MOST, most=MOST), attempts=1)


@dataclass(frozen=True, slots=True)
class _Sender:
    """Sends parts, by many threads at once."""

    upload: Upload
    content: ImageContent
    metadata: Mapping[str, str]

    def send(self, index: int) -> None:
        """Send one part; one that's there already with the same bytes is fine."""
        from google.api_core.exceptions import PreconditionFailed
        from google.auth.exceptions import GoogleAuthError

        offset = index * self.upload.limits.part
        end = min(offset + self.upload.limits.part, self.content.size)
        data = self.content.read(offset, end - offset)
        blob = self.upload.bucket.blob(self.upload.part_name(index))
        blob.metadata = dict(self.metadata)
        checksum = crc32c_of([data])
        try:
            blob.upload_from_file(
                # Read as a whole it gives what it was made of: a part is in memory once.
                io.BytesIO(data),
                size=len(data),
                if_generation_match=0,
                checksum="crc32c",
                crc32c_checksum_value=as_text(checksum),
                **storage_options(),
            )
        except PreconditionFailed:
            self._adopt(index, end - offset, checksum)
            return
        except GoogleAuthError:
            raise
        except refusals.foreign() as error:
            failure: FailbackError = refusals.translate(error, self.upload.place.target, {})
        else:
            return
        # Raised out here, it doesn't bring the SDK's error along: that one may have the session in its text.
        raise failure

    def _adopt(self, index: int, length: int, checksum: int) -> None:
        """Take the part that's there, or remove it where it has other bytes: another export of the same image."""
        found = self.upload.found(self.upload.part_name(index))
        if found is not None and found.size == length and from_text(found.crc32c) == checksum:
            return
        if found is not None:
            found.delete(if_generation_match=found.generation, **storage_options())
        message = f"part {index} of the client image was another's: it's sent again"
        raise CloudBusy(message)


@dataclass(slots=True)
class _Work:
    """The parts of one slice; `reached` is how far the parts given out go."""

    size: int
    reached: int
    clock: Clock
    limits: Slice

    def parts(self) -> Iterator[int]:
        """Indexes of parts, until the slice is full."""
        taken, until = 0, self.clock.now() + timedelta(seconds=self.limits.seconds)
        while self.reached < self.size:
            full = self.clock.now() >= until or taken + self.limits.part > self.limits.size
            # One at least, so that every call gets further.
            if full and taken:
                return
            index = self.reached // self.limits.part
            taken, self.reached = taken + self.limits.part, min(self.size, (index + 1) * self.limits.part)
            yield index

"""The Google adapter on an embedded Google with machines that do nothing, and what's seen there from behind."""

from __future__ import annotations

import gzip
import io
import json
import random
import tarfile
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from werkzeug import Response

from failback.clouds.google.labels import labels_of, tags_text
from failback.clouds.google.machine_look import path_of
from failback.sinks.gce import archive
from failback.sinks.gce_tar import SparseTar
from localcloud.google_identity.settings import Grant, ServiceAccount
from tests.clouds.google.services import ACCOUNT, PROJECT, TARGET, RecordedMachine, RecordingDriver, Services, services
from tests.home.memory import MemoryContent

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import datetime
    from pathlib import Path

    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

    from failback.clouds.google.connection import GoogleHome
    from localcloud.azure.clock import VirtualClock
    from localcloud.google.cloud import GoogleCompute
    from localcloud.google.refusals import Json

MIB, GIB = 1 << 20, 1 << 30
ZONE, REGION = f"zones/{TARGET.zone}", f"regions/{TARGET.region}"
GUEST = ServiceAccount("failback-client@office-home.iam.gserviceaccount.com", "100000000000000000002", {})
OWN = ServiceAccount("web-server@office-home.iam.gserviceaccount.com", "100000000000000000003", {})
_NOISE = random.Random(1).randbytes
DATA = {0: _NOISE(512) + bytes(100 * 512) + _NOISE(70_144), 4 * MIB: _NOISE(5 * MIB), 12 * MIB: _NOISE(1024)}
"""A disk's data by its offsets: dense, with a long gap in it, and single sectors."""


@dataclass
class Agents:
    """Stands before Compute and answers for what guests' agents have reported, which it doesn't keep itself."""

    said: dict[str, tuple[str, datetime]] = field(default_factory=dict)

    def around(self, front: WSGIApplication) -> WSGIApplication:
        """The same with guest attributes."""

        def answer(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
            *_, name, method = str(environ["PATH_INFO"]).split("/")
            if method != "getGuestAttributes" or name not in self.said:
                return front(environ, start_response)
            text, when = self.said[name]
            values = {"LongName": text, "LastUpdated": when.isoformat()}
            items = [{"namespace": "guestInventory", "key": key, "value": value} for key, value in values.items()]
            body = json.dumps({"queryPath": "guestInventory/", "queryValue": {"items": items}})
            return Response(body, content_type="application/json")(environ, start_response)

        return answer


@dataclass
class EmbeddedGoogle:
    """The adapter (`home`), and behind it the clouds with their clock and driver."""

    home: GoogleHome
    clouds: Services
    folder: Path
    agents: Agents

    @property
    def compute(self) -> GoogleCompute:
        """The embedded Compute."""
        return self.clouds.compute

    @property
    def driver(self) -> RecordingDriver:
        """What its machines were started by."""
        return self.clouds.driver

    @property
    def clock(self) -> VirtualClock:
        """The clouds' clock, which only a test moves."""
        return self.clouds.clock

    def machine(self, name: str) -> RecordedMachine:
        """The started machine of that name."""
        return next(each for each in reversed(self.driver.machines) if each.spec.name == name)

    def document(self, collection: str, name: str) -> Json:
        """The resource, as GET shows it."""
        (found,) = [each for path, each in self.compute.listing().items() if path.endswith(f"/{collection}/{name}")]
        return found

    def names(self, collection: str) -> set[str]:
        """What there is of a kind."""
        return {path.rpartition("/")[2] for path in self.compute.listing() if f"/{collection}/" in path}

    def file(self, collection: str, name: str) -> Path:
        """The raw file behind a disk, a snapshot or an image."""
        path = path_of(self.document(collection, name)["selfLink"])
        found = self.compute.administrator.state.find(path)
        assert found is not None
        return self.folder / str(found.hidden["file"])

    def data_of(self, collection: str, name: str) -> bytes:
        """The bytes behind it, as far as an image of these tests may have data; the rest are holes."""
        file = self.file(collection, name)
        assert file.stat().st_blocks * 512 < 16 * MIB
        with file.open("rb") as opened:
            return opened.read(16 * MIB)

    def agent_says(self, name: str, text: str) -> None:
        """Let a machine's guest agent report."""
        self.agents.said[name] = (text, self.clock.now() + timedelta(seconds=1))

    def disk(self, name: str, size: int = 10, *, labels: Mapping[str, str] | None = None, **more: object) -> str:
        """Make an empty disk that isn't ours; gives its path."""
        body = {"name": name, "sizeGb": str(size), "labels": dict(labels or {}),
                "type": f"projects/{PROJECT}/{ZONE}/diskTypes/pd-balanced", **more}  # fmt: skip
        made = self.compute.administrator.insert(ZONE, "disks", body)
        return path_of(made["selfLink"])

    def instance(self, name: str, *disks: Json, **more: object) -> Json:
        """Make a running machine that isn't ours."""
        body = {
            "name": name,
            "machineType": f"projects/{PROJECT}/{ZONE}/machineTypes/e2-standard-4",
            "disks": list(disks),
            "networkInterfaces": [{"subnetwork": TARGET.subnetwork}],
            **more,
        }
        return self.compute.administrator.insert(ZONE, "instances", body)

    def occupy(self, kind: str, name: str, tags: Mapping[str, str]) -> None:
        """Make a thing that isn't ours, as somebody at home would."""
        labels = labels_of(tags)
        if kind == "disk":
            self.disk(name, labels=labels)
        elif kind == "interface":
            body = {"name": name, "addressType": "INTERNAL", "subnetwork": TARGET.subnetwork,
                    "description": tags_text(tags) if tags else "the printer's"}  # fmt: skip
            self.compute.administrator.insert(REGION, "addresses", body)
        else:
            disk = self.disk(f"{name}-of-another", labels=labels)
            self.instance(name, {"source": disk, "boot": True, "autoDelete": False}, labels=labels)


@contextmanager
def embedded_google(folder: Path, **settings: Any) -> Iterator[EmbeddedGoogle]:  # noqa: ANN401 - any setting
    """Serve fresh clouds by a clock that only the test moves, and connect to them."""
    folder.mkdir(parents=True, exist_ok=True)
    values: dict[str, Any] = {"accounts": {GUEST.email: GUEST.unique_id, OWN.email: OWN.unique_id}}
    agents = Agents()
    with services(folder, **values | {"around": agents.around} | settings) as clouds:
        for each in (GUEST, OWN):
            clouds.identity.grant(Grant(ACCOUNT.principal, "roles/iam.serviceAccountUser", each.resource))
        yield EmbeddedGoogle(clouds.connect(), clouds, folder / "compute", agents)


def archived(data: Mapping[int, bytes], *, size: int = GIB) -> MemoryContent:
    """A client image as Google takes it: a disk with these data, in a sparse tar in a gzip."""
    whole = {offset: part + bytes(-len(part) % 512) for offset, part in data.items()}
    tar = SparseTar(size, [(offset, len(part)) for offset, part in sorted(whole.items())])
    pieces = archive(tar, lambda piece: _part(whole, *piece), longest=256 << 10, workers=1, ahead=2)
    made = b"".join(piece for piece, _ in pieces)
    return MemoryContent(len(made), {0: made})


def unpacked(content: MemoryContent) -> bytes:
    """The disk in an archive, up to where these tests' have data at most."""
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(content.whole()))) as tar:
        member = tar.extractfile("disk.raw")
        assert member is not None
        return member.read(16 * MIB)


def _part(data: Mapping[int, bytes], offset: int, length: int) -> bytes:
    start = max(each for each in data if each <= offset)
    return data[start][offset - start : offset - start + length]

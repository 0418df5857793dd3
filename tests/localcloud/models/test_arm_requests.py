"""What our Azure adapter sends: every body is one of the SDK's model, every operation is one whose answer is judged."""

from __future__ import annotations

import io
import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from failback.home_ports import DataDisk, MachineToBuild
from localcloud.azure.schema import checked_answer
from tests.clouds.azure.embedded import IDENTITY, SUBSCRIPTION, embedded_home, small_image
from tests.home.test_contract import KEY, TAGS
from tests.localcloud.azure.test_answers import PATH, Recorder, judge

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

    from failback.model.recovery import Firmware
    from failback.model.server import GuestOs
    from tests.clouds.azure.embedded import EmbeddedHome

pytestmark = pytest.mark.embedded
# The library and the model of each body that the adapter sends; None where it sends none.
REQUESTS = {
    "PUT disks": ("compute", "Disk"),
    "PATCH disks": ("compute", "DiskUpdate"),
    "POST disks begingetaccess": ("compute", "GrantAccessData"),
    "POST disks endgetaccess": None,
    "DELETE disks": None,
    "GET disks": None,
    # Made by the test: the adapter only removes snapshots.
    "PUT snapshots": ("compute", "Snapshot"),
    "POST snapshots endgetaccess": None,
    "DELETE snapshots": None,
    "GET snapshots": None,
    "PUT networkinterfaces": ("network", "NetworkInterface"),
    "DELETE networkinterfaces": None,
    "GET networkinterfaces": None,
    "PUT virtualmachines": ("compute", "VirtualMachine"),
    "PATCH virtualmachines": ("compute", "VirtualMachineUpdate"),
    "DELETE virtualmachines": None,
    "GET virtualmachines": None,
    "GET virtualmachines instanceview": None,
    "POST virtualmachines retrievebootdiagnosticsdata": None,
    "POST virtualmachines deallocate": None,
    "POST virtualmachines start": None,
    "GET skus": None,
    "GET locations operations": None,
}


class Bodies(Recorder):
    """Keeps the requests' bodies too."""

    def __init__(self) -> None:
        super().__init__()
        self.requests: list[tuple[str, Any]] = []

    def around(self, front: WSGIApplication) -> WSGIApplication:
        """The same application, listened to on both ways."""
        inner = super().around(front)

        def listen(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
            body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
            environ["wsgi.input"] = io.BytesIO(body)
            match = PATH.search(environ["PATH_INFO"])
            if match:
                parts = (environ["REQUEST_METHOD"], match["kind"].lower(), (match["action"] or "").lower())
                self.requests.append((" ".join(filter(None, parts)), json.loads(body or b"null")))
            return inner(environ, start_response)

        return listen


def test_every_request_is_the_models_and_every_answer_is_judged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder = Bodies()
    with embedded_home(tmp_path, monkeypatch, around=recorder.around) as embedded:
        go_all_the_way(embedded)
    for operation, body in recorder.requests:
        model = REQUESTS[operation]
        if model is None:
            assert not body, operation
        else:
            assert checked_answer(*model, body) == body, operation
    assert {operation for operation, _ in recorder.requests} == set(REQUESTS)
    assert "error" in {judge(*answer) for answer in recorder.answers}


def test_the_adapters_own_calls_are_all_in_the_table() -> None:
    """Whatever operation of the SDK the adapter names, the table has it."""
    from failback.clouds.azure import connection

    folder = connection.__file__.rpartition("/")[0]
    named = set(re.findall(r"\.(begin_\w+|instance_view|retrieve_\w+)\b", _sources(folder)))
    assert named == {
        "begin_create_or_update", "begin_update", "begin_grant_access", "begin_revoke_access", "begin_delete",
        "begin_deallocate", "begin_start", "instance_view", "retrieve_boot_diagnostics_data",
    }  # fmt: skip


def _sources(folder: str) -> str:
    from pathlib import Path

    return "\n".join(path.read_text(encoding="utf-8") for path in sorted(Path(folder).glob("*.py")))


def go_all_the_way(embedded: EmbeddedHome) -> None:
    """Import, build by both firmwares, tell, look, note, give back; and a snapshot that somebody made for us."""
    home = embedded.home
    cursor: Any = {}
    while (step := home.images.advance(KEY, small_image(), cursor=cursor, tags=TAGS)).image is None:
        cursor = step.cursor
    home.images.note_test(step.image, "ready")
    firmwares: tuple[tuple[Firmware, GuestOs], ...] = (("bios", "linux"), ("uefi", "windows"))
    for firmware, os in firmwares:
        name = f"drs-failback-client-{firmware}"
        disks = (DataDisk(f"{name}-0", 1, 0, os=os, firmware=firmware), DataDisk(f"{name}-1", 1, 3, sku="Premium_LRS"))
        machine = MachineToBuild(name, step.image, firmware, "version=1\n", TAGS, disks=disks, os=os,
                                 identity=IDENTITY.resource_id(SUBSCRIPTION))  # fmt: skip
        assert home.machines.address(name, tags=TAGS)
        while home.machines.build(machine) == "building":
            pass
        home.machines.tell(name, "version=1\nother=1\n")
        assert home.machines.console(name)
        while not home.takeovers.power_off(name):
            pass
        home.place.compute.virtual_machines.begin_start("home", name).result()
    creation = {"createOption": "Copy", "sourceResourceId": step.image.id}
    body: Any = {"location": "westeurope", "tags": TAGS, "properties": {"creationData": creation, "incremental": True}}
    home.place.compute.snapshots.begin_create_or_update("home", "moment", body).result()
    while made := home.belongings.made_by("run-1"):
        for each in made:
            home.belongings.remove(each)
    assert embedded.names() == set()

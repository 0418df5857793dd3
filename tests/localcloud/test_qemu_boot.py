"""The stand-in ISO as a CD in QEMU: what the guest sees of its disks and of the net."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from localcloud.machines.qemu import Machine
from localcloud.machines.spec import Disk, Forward, MachineSpec
from localcloud.standin.build import build_standin
from localcloud.standin.variant import variant_iso

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.boot, pytest.mark.matrix, pytest.mark.timeout(900)]
STANDIN = Path(__file__).resolve().parents[2] / "build" / "standin"

# Copies a unit over to the live system, as every hook before the switch of the root can.
HOOK = rb"""
mkdir -p /run/systemd/system/multi-user.target.wants
cp /probe.sh /run/probe.sh
printf '[Unit]\nAfter=multi-user.target\n[Service]\nExecStart=/run/probe.sh\n' > /run/systemd/system/probe.service
ln -s ../probe.service /run/systemd/system/multi-user.target.wants/probe.service
"""
# The console is opened anew for each line: the login prompt hangs up whoever has it open.
PROBE = b"""#!/bin/sh
{
    echo "metadata: $(curl -sS --retry 60 --retry-delay 1 --retry-all-errors http://169.254.169.254/meta 2>&1)"
    echo "other: $(curl -sS http://169.254.169.253:443/sts 2>&1)"
    echo "outside: $(curl -sS --max-time 5 http://169.254.0.2/ 2>&1)"
    echo "disk: $(head -c 19 /dev/disk/by-id/scsi-0Google_PersistentDisk_data-3)"
    echo "place: $(readlink -f /sys/block/sda/device)"
    echo "failed units: $(systemctl --failed --plain --no-legend)."
    echo "probe: end"
} | while read -r line; do echo "$line" > /dev/ttyS0; done
systemctl poweroff
"""


@pytest.fixture
def server() -> Iterator[int]:
    """Answers every request with its path; gives its port."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = f"answer to {self.path}\n".encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nothing on the tests' output."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as serving:
        thread = threading.Thread(target=serving.serve_forever)
        thread.start()
        yield serving.server_port
        serving.shutdown()
        thread.join()


def test_the_iso_as_a_cd_reaches_its_forwards_and_its_disk_only(tmp_path: Path, server: int) -> None:
    files = {"probe.sh": PROBE, "usr/lib/dracut/hooks/pre-pivot/99-probe.sh": HOOK}
    cd = variant_iso(
        build_standin(STANDIN), tmp_path / "cd.iso", add_files=files, initrd_compression="zstd", early_cpio=True
    )
    data = tmp_path / "data.raw"
    data.write_bytes(b"hello from the disk" + bytes(1 << 20))
    disk = Disk(data, "raw", 3, "data-3", snapshot=True, vendor="Google", product="PersistentDisk")
    forwards = (Forward("169.254.169.254", 80, server), Forward("169.254.169.253", 443, server))
    with Machine(MachineSpec((disk,), forwards=forwards, cdrom=cd)) as machine:
        machine.wait_for("probe: end", 500)
        machine.wait_for_end(120)
        log = machine.log
    assert "login:" in log
    assert "metadata: answer to /meta" in log
    assert "other: answer to /sts" in log
    assert "outside: curl: (7)" in log
    assert "disk: hello from the disk" in log
    assert "target0:0:0/0:0:0:3" in log
    assert "failed units: ." in log

"""What is read out of the client's root file system: facts, start script, launchers, tools, kernel modules."""

from __future__ import annotations

import gzip
import lzma
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from failback.errors import DataCorrupt
from failback.image.filesystem import NodeTree
from failback.image.launchers import Launcher, find_launchers
from failback.image.modules import ModuleTree
from failback.image.rootfs import find_client_start, missing_tools, read_root
from failback.image.source import ByteSource, BytesSource

if TYPE_CHECKING:
    from collections.abc import Iterable

    from failback.image.tree import EntryKind

KERNEL = "4.14.336-253.554.amzn2.x86_64"
START = "/usr/bin/start.sh"
ELF = b"\x7fELF" + bytes(200)

Files = dict[str, "bytes | str"]


@dataclass(frozen=True)
class Node:
    """A directory (names), a file (bytes) or a link (text)."""

    content: dict[str, Node] | bytes | str
    mode: int = 0o100755

    @property
    def kind(self) -> EntryKind:
        return (
            "directory" if isinstance(self.content, dict) else "file" if isinstance(self.content, bytes) else "symlink"
        )

    @property
    def size(self) -> int:
        return len(self.content)


class MemoryTree(NodeTree[Node]):
    """A file tree in memory."""

    def __init__(self, files: Files) -> None:
        top: dict[str, Node] = {}
        for path, content in files.items():
            *parents, name = path.strip("/").split("/")
            here = top
            for parent in parents:
                below = here.setdefault(parent, Node({})).content
                assert isinstance(below, dict)
                here = below
            here[name] = Node(content)
        super().__init__(Node(top), "memory")

    def _names(self, directory: Node) -> Iterable[str]:
        assert isinstance(directory.content, dict)
        return directory.content

    def _child(self, directory: Node, name: str) -> Node | None:
        assert isinstance(directory.content, dict)
        return directory.content.get(name)

    def _link_target(self, link: Node) -> str:
        assert isinstance(link.content, str)
        return link.content

    def _content(self, path: str, file: Node) -> ByteSource:
        assert isinstance(file.content, bytes)
        return BytesSource(file.content)


AMAZON_LINUX: Files = {
    "/bin": "usr/bin",
    "/sbin": "usr/sbin",
    "/lib": "usr/lib",
    "/etc/os-release": "../usr/lib/os-release",
    "/usr/lib/os-release": b'NAME="Amazon Linux"\nID="amzn"\nVERSION_ID="2"\nPRETTY_NAME="Amazon Linux 2"\n# x=y\n',
    "/etc/selinux/config": b"# SELINUX= can be enforcing\nSELINUX=disabled\nSELINUXTYPE=targeted\n",
    "/etc/passwd": b"root:x:0:0:root:/root:/bin/bash\nec2-user:x:1000:1000::/home/ec2-user:/bin/bash\n",
    START: b"#!/bin/bash\nsudo /home/ec2-user/failback_entry\n",
    "/usr/share/licenses/systemd-219/LICENSE": b"",
    f"/usr/lib/modules/{KERNEL}/modules.dep": b"",
    "/usr/lib/modules/5.10.209-198.812.amzn2.x86_64/modules.dep": b"",
    "/usr/lib/modules/5.9.1/modules.dep": b"",
    "/usr/bin/bash": b"",
    "/usr/bin/sh": "bash",
    "/usr/bin/broken": "nowhere",
    "/usr/sbin/fdisk": b"",
    "/usr/sbin/tools/x": b"",
}
AUTOLOGIN = "/etc/systemd/system/getty@tty1.service.d/override.conf"
AUTOLOGIN_TEXT = b"[Service]\nExecStart=\nExecStart=-/sbin/agetty --autologin ec2-user --noclear %I $TERM\n"


def test_the_facts_of_an_amazon_linux() -> None:
    facts = read_root(MemoryTree(AMAZON_LINUX))
    assert (facts.os_name, facts.os_id, facts.version_id) == ("Amazon Linux 2", "amzn", "2")
    assert facts.kernels == (KERNEL, "5.9.1", "5.10.209-198.812.amzn2.x86_64")
    assert facts.selinux == "disabled"
    assert not facts.has_selinux
    assert facts.systemd == "219"
    assert facts.client_start == START
    assert find_launchers(MemoryTree(AMAZON_LINUX), START) == ()


def test_an_empty_tree_has_no_facts() -> None:
    facts = read_root(MemoryTree({}))
    assert (facts.os_name, facts.kernels, facts.selinux, facts.systemd) == ("", (), "absent", "")
    assert facts.client_start == ""


@pytest.mark.parametrize(
    ("text", "mode"),
    [
        (b"SELINUX=enforcing\n", "enforcing"),
        (b"  SELINUX = Permissive # for now\n", "permissive"),
        (b"SELINUX=disabled", "disabled"),
        (b"SELINUX=nonsense\n", "enforcing"),
        (b"# nothing\n", "enforcing"),
    ],
)
def test_selinux(text: bytes, mode: str) -> None:
    assert read_root(MemoryTree({"/etc/selinux/config": text})).selinux == mode


@pytest.mark.parametrize(
    ("line", "name"),
    [
        (b'PRETTY_NAME="A \\"quoted\\" name"', 'A "quoted" name'),
        (b"PRETTY_NAME='single'", "single"),
        (b"PRETTY_NAME=bare", "bare"),
        (b'PRETTY_NAME="', '"'),
        (b"PRETTY_NAME=", ""),
        (b"PRETTY_NAME=\x1b[31mred\xff", "?[31mred\\xff"),
        (b"PRETTY_NAME=" + b"x" * 5000, "x" * 200),
    ],
)
def test_names_are_fit_to_be_shown(line: bytes, name: str) -> None:
    assert read_root(MemoryTree({"/usr/lib/os-release": line})).os_name == name


@pytest.mark.parametrize(
    ("path", "version"),
    [
        ("/usr/lib/systemd/libsystemd-shared-252.so", "252"),
        ("/lib/systemd/libsystemd-shared-252.22-1~deb12u1.so", "252.22-1~deb12u1"),
        ("/usr/share/doc/systemd-219/README", "219"),
    ],
)
def test_the_version_of_systemd(path: str, version: str) -> None:
    assert read_root(MemoryTree({path: b""})).systemd == version


@pytest.mark.parametrize("path", ["/usr/local/bin/go.sh", "/opt/go.sh", "/root/go.sh", "/home/ec2-user/go.sh"])
def test_a_start_script_elsewhere_is_known_by_what_it_names(path: str) -> None:
    others: Files = {"/usr/bin/other.sh": b"echo", "/opt/x.sh": "/nowhere", "/home/a/b.sh/c": b""}
    assert find_client_start(MemoryTree({**others, path: b"exec ./failback_entry"})) == path
    assert find_client_start(MemoryTree({**others, path: b"blkid --label DRSFAILBACK"})) == path
    assert find_client_start(MemoryTree({**others, path: b"something"})) == ""


def test_a_script_whose_name_could_do_harm_is_not_taken() -> None:
    assert find_client_start(MemoryTree({"/opt/$(reboot).sh": b"failback_entry"})) == ""


def launchers(files: Files, script: str = START) -> list[tuple[str, str]]:
    found = find_launchers(MemoryTree({**AMAZON_LINUX, **files}), script)
    return [(each.kind, each.path) for each in found]


def test_an_autologin_with_a_profile_that_runs_the_script() -> None:
    files: Files = {AUTOLOGIN: AUTOLOGIN_TEXT, "/home/ec2-user/.bash_profile": b"# start.sh\n. start.sh\n"}
    assert find_launchers(MemoryTree({**AMAZON_LINUX, **files}), START) == (
        Launcher("autologin", AUTOLOGIN, "ec2-user"),
        Launcher("profile", "/home/ec2-user/.bash_profile", ". start.sh"),
    )


def test_an_autologin_of_somebody_else_is_none() -> None:
    assert launchers({AUTOLOGIN: AUTOLOGIN_TEXT, "/root/.bashrc": b"start.sh\n"}) == [("profile", "/root/.bashrc")]
    assert launchers({AUTOLOGIN: AUTOLOGIN_TEXT}) == []


def test_a_profile_of_everyone() -> None:
    files: Files = {AUTOLOGIN: AUTOLOGIN_TEXT, "/etc/profile.d/drs.sh": b'[ -t 0 ] && exec "/bin/start.sh"\n'}
    assert launchers(files) == [("autologin", AUTOLOGIN), ("profile", "/etc/profile.d/drs.sh")]


def test_a_login_shell() -> None:
    passwd = b"root:x:0:0:root:/root:/bin/bash\nec2-user:x:1:1::/home/ec2-user:/usr/bin/start.sh\n"
    assert launchers({AUTOLOGIN: AUTOLOGIN_TEXT, "/etc/passwd": passwd}) == [
        ("autologin", AUTOLOGIN),
        ("shell", "/etc/passwd"),
    ]


@pytest.mark.parametrize(
    ("kind", "path", "text"),
    [
        ("unit", "/etc/systemd/system/drs.service", b"[Service]\nExecStart=-/usr/bin/start.sh now\n"),
        ("unit", "/usr/lib/systemd/system/drs.service", b"ExecStart=/bin/sh -c \\\n  'exec /usr/bin/start.sh'\n"),
        ("unit", "/etc/systemd/system/x.service.d/a.conf", b"ExecStartPost=/usr/bin/env A=b start.sh\n"),
        ("rc", "/etc/rc.d/rc.local", b"#!/bin/sh\ncd /usr/bin; ./start.sh &\n"),
        ("rc", "/etc/rc.local", b"(/usr/bin/start.sh)\n"),
        ("inittab", "/etc/inittab", b"1:2345:respawn:/usr/bin/start.sh\n"),
        ("upstart", "/etc/init/drs.conf", b"exec /usr/bin/start.sh\n"),
        ("cron", "/etc/crontab", b"@reboot root /usr/bin/start.sh\n"),
        ("cron", "/var/spool/cron/ec2-user", b"@reboot start.sh\n"),
    ],
)
def test_every_other_way(kind: str, path: str, text: bytes) -> None:
    assert launchers({path: text}) == [(kind, path)]


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/etc/systemd/system/drs.service", b"Description=runs /usr/bin/start.sh\n# ExecStart=/usr/bin/start.sh\n"),
        ("/etc/systemd/system/drs.service", b"ExecStart=/usr/bin/restart.sh\nExecStart=/opt/usr/bin/start.sh.old/x\n"),
        ("/etc/systemd/system/drs.service", b"ExecStop=/usr/bin/start.sh\n"),
        ("/etc/rc.local", b"/opt/other/start.sh\n/usr/bin/start.sh-old\n"),
        ("/etc/crontab", b"0 0 * * * root /usr/bin/start.sh\n"),
        ("/etc/systemd/system/notes.txt", b"ExecStart=/usr/bin/start.sh\n"),
    ],
)
def test_what_only_looks_like_it(path: str, text: bytes) -> None:
    assert launchers({path: text}) == []


def test_a_unit_counts_once_however_many_links_lead_to_it() -> None:
    unit = "/usr/lib/systemd/system/drs.service"
    files: Files = {unit: b"ExecStart=/usr/bin/start.sh\n", "/etc/systemd/system/alias.service": unit}
    assert launchers(files) == [("unit", "/etc/systemd/system/alias.service")]


def test_a_script_in_a_home_is_found_by_its_names() -> None:
    script = "/home/ec2-user/go.sh"
    for line in (b"~/go.sh", b"$HOME/go.sh", b"./go.sh", b"bash /home/ec2-user/go.sh", b'exec "${HOME}/go.sh"'):
        assert launchers({"/home/ec2-user/.profile": line}, script) == [("profile", "/home/ec2-user/.profile")]


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_noise_in_every_file_is_harmless(data: st.DataObject) -> None:
    names = ("/etc/passwd", "/etc/os-release", "/etc/crontab", "/etc/rc.local", AUTOLOGIN, "/etc/selinux/config", START)
    noise = st.binary(max_size=60) | st.text(":=#\\\n\"'start.sh/@ ", max_size=80).map(str.encode)
    files: Files = {name: data.draw(noise, name) for name in names}
    dep: Files = {f"/lib/modules/1/modules.{name}": data.draw(noise, name) for name in ("dep", "builtin")}
    read_root(MemoryTree({**files, **dep}))
    modules = ModuleTree(MemoryTree(dep), "1")
    for name in ("", "start", "/", ".."):
        modules.find(name)
        modules.closure(name)


def test_missing_tools() -> None:
    tree = MemoryTree(AMAZON_LINUX)
    assert missing_tools(tree, ("sh", "bash", "curl", "fdisk", "broken", "tools")) == ("curl", "broken", "tools")
    assert missing_tools(MemoryTree({"/sbin/ip": b""}), ("ip",)) == ()


MODULES: Files = {
    f"/lib/modules/{KERNEL}/modules.dep": (
        b"kernel/drivers/md/dm-snapshot.ko.xz: kernel/drivers/md/dm-bufio.ko.xz kernel/drivers/md/dm-mod.ko.xz\n"
        b"kernel/drivers/md/dm-bufio.ko.xz: kernel/drivers/md/dm-mod.ko.xz\n"
        b"kernel/drivers/md/dm-mod.ko.xz:\n"
        b"kernel/a.ko: kernel/b.ko\nkernel/b.ko: kernel/c.ko kernel/a.ko\nkernel/c.ko: kernel/a.ko\n"
        b"extra/x.ko.zst: extra/last.ko extra/first.ko\n"
    ),
    f"/lib/modules/{KERNEL}/modules.builtin": b"kernel/fs/ext4/ext4.ko\nkernel/drivers/nvme/host/nvme-core.ko\n",
}


def base(*paths: str) -> tuple[str, ...]:
    return tuple(f"/lib/modules/{KERNEL}/{path}" for path in paths)


def test_modules_are_found_by_either_spelling() -> None:
    modules = ModuleTree(MemoryTree(MODULES), KERNEL)
    assert (modules.find("dm_mod"), modules.find("dm-mod")) == base("kernel/drivers/md/dm-mod.ko.xz") * 2
    assert modules.find("absent") is None
    assert modules.builtin("nvme-core")
    assert modules.builtin("nvme_core")
    assert not modules.builtin("dm_mod")


def test_what_a_module_needs_comes_before_it() -> None:
    modules = ModuleTree(MemoryTree(MODULES), KERNEL)
    md = "kernel/drivers/md"
    assert modules.closure("dm-snapshot") == base(
        f"{md}/dm-mod.ko.xz", f"{md}/dm-bufio.ko.xz", f"{md}/dm-snapshot.ko.xz"
    )
    assert modules.closure("x") == base("extra/first.ko", "extra/last.ko", "extra/x.ko.zst")
    assert modules.closure("absent") == ()


def test_circles_of_modules_end() -> None:
    assert ModuleTree(MemoryTree(MODULES), KERNEL).closure("a") == base("kernel/c.ko", "kernel/b.ko", "kernel/a.ko")


def test_a_kernel_without_an_index_has_no_modules() -> None:
    modules = ModuleTree(MemoryTree({}), KERNEL)
    assert (modules.find("ext4"), modules.closure("ext4"), modules.builtin("ext4")) == (None, (), False)


@pytest.mark.parametrize(
    "packed",
    [
        ELF,
        gzip.compress(ELF, mtime=0),
        lzma.compress(ELF, check=lzma.CHECK_CRC32),
        zstandard.ZstdCompressor().compress(ELF),
    ],
    ids=["plain", "gzip", "xz", "zstd"],
)
def test_modules_are_unpacked(packed: bytes) -> None:
    modules = ModuleTree(MemoryTree({"/lib": "usr/lib", "/usr/lib/m.ko": packed}), KERNEL)
    assert modules.read("/lib/m.ko") == ELF


@pytest.mark.parametrize("content", [b"", b"text", gzip.compress(b"text", mtime=0), gzip.compress(ELF, mtime=0)[:-3]])
def test_what_is_no_module_is_refused(content: bytes) -> None:
    with pytest.raises(DataCorrupt, match=r"/m\.ko"):
        ModuleTree(MemoryTree({"/m.ko": content}), KERNEL).read("/m.ko")


def test_a_missing_module_file_is_refused() -> None:
    with pytest.raises(DataCorrupt, match=r"/m\.ko"):
        ModuleTree(MemoryTree({}), KERNEL).read("/m.ko")

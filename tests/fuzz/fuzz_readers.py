"""Feeds damaged input to everything that reads an ISO: it has to be read, or refused with an ImageError, in time.

Run `python tests/fuzz/fuzz_readers.py --count 100000 --seed 1 [--kind iso]`; `--atheris` lets coverage guide it.
It's one file, so that it also runs where the tests are no package.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import os
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from failback.errors import ImageError
from failback.image.ext4 import Ext4
from failback.image.initrd import read_initrd
from failback.image.iso import IsoVolume
from failback.image.isolinux import boot_entries, find_boot_entry
from failback.image.kernel import read_kernel
from failback.image.source import BytesSource
from failback.image.squashfs import Squashfs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from failback.image.source import ByteSource
    from failback.image.tree import FileTree

SAVED = Path(__file__).parents[2] / "build" / "fuzz"
# An undamaged input takes some milliseconds. Reading what the limits allow at most takes seconds, but inputs of tens
# of KB can't hold that much.
SECONDS_PER_INPUT = 5.0
MEMORY = 2 * 1024**3
TOOLS = ("xorriso", "mksquashfs", "mke2fs", "debugfs", "cpio", "gzip", "xz", "zstd")
SHOWN_OUTCOMES = 12
_CONFIG_BYTES = 8192
_FILES_READ = 300
# What differs between messages of one kind: quoted names, bytes, paths up to the next comma, numbers.
_VARYING = re.compile(r"b?(?<!\w)'.*?'(?!\w)|\b[0-9a-f]{2}\b|\S*/[^,:]*|-?\d+", re.DOTALL)
_EPOCH = 1_700_000_000
_EXT_INODES = 64
_UUID = "6d2b9f0e-1111-4222-8333-944444444444"


class Hang(BaseException):
    """An input took longer than SECONDS_PER_INPUT; no parser can catch it by accident."""


def check_one(kind: str, data: bytes) -> None:
    """Read one input; returns where it was read or refused with an ImageError, raises whatever else happens."""
    outcome_of(kind, data)


def outcome_of(kind: str, data: bytes) -> str:
    """Like check_one(); says "read", or how it was refused, without the numbers and names of this very input."""
    try:
        READERS[kind](data)
    except ImageError as error:
        return f"{type(error).__name__}: {_VARYING.sub('#', str(error))[:60]}"
    return "read"


def read_iso(data: bytes) -> None:
    volume = IsoVolume.open(BytesSource(data))
    for file in islice(volume.walk(), _FILES_READ):
        volume.find(file.path)
        if not file.is_directory:
            _read_ends(volume.open_file(file))
    boot_entries(volume)
    kernel = volume.find(find_boot_entry(volume).kernel)
    assert kernel is not None
    read_kernel(volume.open_file(kernel))


def read_config(data: bytes) -> None:
    volume = IsoVolume.open(BytesSource(CONFIG_ISO.with_config(data)))
    boot_entries(volume)
    entry = find_boot_entry(volume)
    assert volume.find(entry.kernel)
    assert all(volume.find(path) for path in entry.initrds)


def read_an_initrd(data: bytes) -> None:
    half = len(data) // 2
    for sources in ([data], [data[:half], data[half:]]):
        initrd = read_initrd([BytesSource(source) for source in sources])
        initrd.missing_commands(["sh", "cp", "mkdir"])
        for version in initrd.kernel_versions:
            initrd.has_module("isofs", version)
        assert initrd.hook_directory is None or initrd.has(initrd.hook_directory)
        assert initrd.dracut_live in (True, False)


def read_tree(tree: FileTree) -> None:
    pending, left = ["/"], _FILES_READ
    while pending and left:
        for entry in islice(tree.list(pending.pop()), left):
            left -= 1
            tree.find(entry.path)
            if entry.kind == "directory":
                pending.append(entry.path)
            elif entry.kind == "file":
                _read_ends(tree.open(entry.path))


def _read_ends(content: ByteSource) -> None:
    length = min(content.size, 4096)
    content.read(0, length)
    content.read(content.size - length, length)


READERS: dict[str, Callable[[bytes], None]] = {
    "iso": read_iso,
    "config": read_config,
    "initrd": read_an_initrd,
    "squashfs": lambda data: read_tree(Squashfs(BytesSource(data))),
    "ext4": lambda data: read_tree(Ext4(BytesSource(data))),
}


class ConfigIso:
    """A small ISO whose boot configuration is replaced in place; made when first needed."""

    _NAMES = ((b"ISOLINUX.CFG;1", b"#"), (b"GRUB.CFG;1", b"@"))

    def __init__(self) -> None:
        self._iso = b""
        self._places: list[tuple[int, int]] = []

    def with_config(self, data: bytes) -> bytes:
        if not self._iso:
            self._make()
        iso, data = bytearray(self._iso), data[:_CONFIG_BYTES]
        record, content = self._places[b"menuentry" in data]
        iso[content : content + len(data)] = data
        iso[record + 10 : record + 18] = len(data).to_bytes(4, "little") + len(data).to_bytes(4, "big")
        return bytes(iso)

    def _make(self) -> None:
        files = {"isolinux/vmlinuz": b"k", "isolinux/initrd.img": b"i", "isolinux/menu.cfg": b"label i\nlinux i\n"}
        files |= {"isolinux/isolinux.cfg": b"#" * _CONFIG_BYTES, "EFI/BOOT/grub.cfg": b"@" * _CONFIG_BYTES}
        self._iso = make_iso(files)
        # A record's name begins at its byte 33 (ECMA-119 9.1).
        self._places = [
            (self._iso.index(name) - 33, self._iso.index(byte * _CONFIG_BYTES)) for name, byte in self._NAMES
        ]


CONFIG_ISO = ConfigIso()


def run(folder: Path, *command: str | Path, data: bytes = b"") -> bytes:
    environment = {**os.environ, "SOURCE_DATE_EPOCH": str(_EPOCH), "E2FSPROGS_FAKE_TIME": str(_EPOCH)}
    done = subprocess.run(command, cwd=folder, env=environment, input=data, capture_output=True, check=True)
    return done.stdout


def write_tree(root: Path, files: dict[str, bytes], links: dict[str, str]) -> None:
    for path, content in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(content)
    for path, target in links.items():
        (root / path).symlink_to(target)
    for found in [*root.rglob("*"), root]:
        os.utime(found, (_EPOCH, _EPOCH), follow_symlinks=False)


def make_iso(files: dict[str, bytes], *options: str, links: dict[str, str] | None = None) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write_tree(root, files, links or {})
        dates = ("--modification-date=2023111422132000", "--set_all_file_dates", "set_to_mtime")
        sort = ("-volid", "DRSFAILBACK", "-no-pad", "-uid", "0", "-gid", "0")
        return run(root, "xorriso", "-as", "mkisofs", "-quiet", *dates, *sort, *options, ".")


FILES = {
    "isolinux/vmlinuz": (b"MZ".ljust(0x1FE, b"\0") + b"\x55\xaa\0\0HdrS".ljust(19, b"\0") + b"\1").ljust(2560, b"\0"),
    "isolinux/initrd.img": b"initrd",
    "isolinux/isolinux.cfg": b"default a\nlabel a\nkernel vmlinuz\nappend initrd=initrd.img root=live:CDLABEL=A\n",
    "LiveOS/squashfs.img": bytes(range(256)) * 8,
    "usr/lib/modules/6.1/kernel/isofs.ko": b"\x7fELF" + bytes(90),
    "usr/lib/modules/6.1/modules.builtin": b"kernel/fs/ext4/ext4.ko\n",
    "usr/bin/sh": b"#!" + b"sh" * 900,
    "a/b/c/" + "n" * 200: b"deep",
}
LINKS = {"lib": "usr/lib", "bin": "usr/bin", "circle": "circle", "a/far": "./" * 60 + "b/c", "abs": "/isolinux/vmlinuz"}
CONFIGS = [
    b"DEFAULT vesamenu.c32\nTIMEOUT 600\nONTIMEOUT linux x\nAPPEND root=live:CDLABEL=A\nLABEL linux\n  MENU DEFAULT\n"
    b"  KERNEL vmlinuz\n  INITRD initrd.img\n  APPEND initrd=initrd.img root=live:CDLABEL=A\\x20B rd.live.image quiet\n"
    b"LABEL check\n LINUX /isolinux/vmlinuz\n APPEND initrd=initrd.img,/isolinux/initrd.img rd.live.check\n"
    b"LABEL local\n LOCALBOOT 0xffff\nMENU BEGIN x\nMENU END\nTEXT HELP\n hi\nENDTEXT\n"
    b"MENU INCLUDE menu.cfg\nUI menu.c32\n",
    b"include menu.cfg\ninclude isolinux.cfg\r\ndefault vmlinuz initrd=initrd.img \"a b\"\nlabel a\nappend -\n",
    b"set default=\"1\"\nset x='a'\nmenuentry 'One' --class os {\n linuxefi /isolinux/vmlinuz root=live:LABEL=A\\x20B\n"
    b" initrdefi (cd0)/isolinux/initrd.img\n}\nmenuentry \"Two \\\"$x\\\"\" {\n linux /isolinux/vmlinuz ${x} $x \\\n"
    b" quiet\n initrd /isolinux/initrd.img\n}\n",
]  # fmt: skip


def _isos() -> list[bytes]:
    small = {path: content for path, content in FILES.items() if "usr" not in path}
    variants = [(), ("-J",), ("-J", "--norock"), ("--norock",)]
    return [make_iso(small, *options, links=LINKS) for options in variants]


def _initrds(root: Path) -> list[bytes]:
    names = "\n".join(sorted(str(path.relative_to(root)) for path in root.rglob("*"))).encode()
    archive = run(root, "cpio", "-o", "-H", "newc", "--quiet", "--reproducible", "-R", "0:0", data=names)
    packers = (("gzip", "-n"), ("xz", "--check=crc32"), ("zstd", "-q"))
    packed = [run(root, *packer, data=archive) for packer in packers]
    return [archive, *packed, archive + packed[0], archive + bytes(512) + packed[1]]


def _squashfs(root: Path) -> list[bytes]:
    made = []
    packings = (["-noI", "-noD", "-noF", "-noX"], ["-comp", "gzip"], ["-comp", "xz"], ["-comp", "zstd"])
    for number, options in enumerate(packings):
        output = root.parent / f"{number}.squashfs"
        fixed = ("-noappend", "-quiet", "-no-progress", "-all-root", "-no-xattrs", "-nopad", "-processors", "1")
        run(root, "mksquashfs", ".", output, *fixed, *options)
        made.append(output.read_bytes())
    return made


def _ext4(root: Path) -> list[bytes]:
    made = []
    for kind in ("ext2", "ext4"):
        output = root.parent / kind
        identity = ("-U", _UUID, "-E", f"hash_seed={_UUID}")
        features = ("-O", "^has_journal,^resize_inode", "-N", str(_EXT_INODES), "-b", "1024", "-m", "0", "-L", "root")
        run(root, "mke2fs", "-q", "-F", "-t", kind, *identity, *features, "-d", ".", output, "128")
        # mke2fs copies the times of access and change, which nobody can set on files: set them in the image.
        times = root.parent / f"{kind}.times"
        fields = ("atime", "ctime", "atime_extra", "ctime_extra")
        inodes = (2, *range(11, _EXT_INODES + 1))
        values = [f"@{_EPOCH}" if "extra" not in field else "0" for field in fields]
        lines = [
            f"sif <{inode}> {field} {value}\n" for inode in inodes for field, value in zip(fields, values, strict=True)
        ]
        times.write_text("".join(lines), encoding="ascii")
        run(root, "debugfs", "-w", "-f", times, output)
        made.append(output.read_bytes())
    return made


def corpus(kind: str) -> list[bytes]:
    """Small valid inputs of one kind, the same at every call."""
    if kind == "config":
        return CONFIGS
    if kind == "iso":
        return _isos()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "tree"
        write_tree(root, FILES, LINKS)
        return {"initrd": _initrds, "squashfs": _squashfs, "ext4": _ext4}[kind](root)


# Beginnings of structures: an ISO's records and descriptors, SUSP fields, cpio and compression headers, directories.
_LANDMARKS = re.compile(
    rb"CD001|[A-Z]\.?;1|NM.\x01|SL.\x01|CE\x1c\x01|PX.\x01|RR\x05|ER.\x01|SP\x07|07070[12]|TRAILER|hsqs|\x53\xef|isolinux"
    rb"|\x1f\x8b|\xfd7zXZ|\x28\xb5\x2f\xfd|\x0a\xf3|lost\+found|LABEL|menuentry|initrd",
    re.IGNORECASE,
)
_DOUBLE = re.compile(rb"(?=[^\0]..\0\0..[^\0])", re.DOTALL)
_WORDS = (
    *(b"label ", b"kernel ", b"append ", b"append -\n", b"initrd ", b"initrd=", b"default ", b"ontimeout ", b"menu "),
    *(
        b"include ",
        b"menu.cfg",
        b"isolinux.cfg",
        b"begin",
        b"end",
        b"text",
        b"endtext",
        b"\n",
        b"\n",
        b"\r",
        b"\t",
        b'"',
    ),
    *(
        b"\\",
        b"#",
        b"'",
        b"$a",
        b"${x}",
        b"set a=",
        b"menuentry ",
        b"linux ",
        b"{",
        b"}",
        b"..",
        b"/",
        b"//" * 50,
        b",a" * 20,
    ),
)
_VALUES = (
    0,
    1,
    2,
    4,
    8,
    16,
    33,
    34,
    127,
    128,
    255,
    256,
    2047,
    2048,
    2049,
    0x7FFF,
    0xFFFF,
    (1 << 31) - 1,
    (1 << 32) - 1,
)


@dataclass(frozen=True, slots=True)
class Seed:
    """A valid input and where in it a change is most likely to matter."""

    data: bytes
    places: tuple[int, ...]
    doubles: tuple[int, ...]

    @classmethod
    def of(cls, data: bytes) -> Seed:
        """Look for landmarks, and for what looks like a number in both byte orders: ISO 9660 is full of them."""
        places = tuple(found.start() for found in _LANDMARKS.finditer(data))
        doubles = (found.start() for found in _DOUBLE.finditer(data))
        return cls(
            data, places or (0,), tuple(at for at in doubles if data[at : at + 4] == data[at + 4 : at + 8][::-1])
        )


class Mutator:
    """Makes one damaged input after the other from valid ones; the same for the same seed."""

    def __init__(self, inputs: list[bytes], seed: str, *, is_text: bool) -> None:
        self._random = random.Random(seed)
        self._seeds = [Seed.of(data) for data in inputs]
        self._changes = [self._flip, *[self._field] * 4, self._cut, self._swap, self._splice]
        if is_text:
            self._changes += [self._word] * 8
        elif any(seed.doubles for seed in self._seeds):
            self._changes += [self._double] * 5

    def inputs(self) -> Iterator[bytes]:
        while True:
            seed = self._random.choice(self._seeds)
            data = bytearray(seed.data)
            for _ in range(self._random.choice((1, 1, 2, 3, 5))):
                self._random.choice(self._changes)(data, seed)
            yield bytes(data)

    def _place(self, data: bytearray, seed: Seed) -> int:
        if self._random.random() < 0.2:
            return self._random.randrange(len(data) + 1)
        near = self._random.choice(seed.places) + self._random.randint(-40, 48)
        return max(0, min(len(data), near))

    def _flip(self, data: bytearray, seed: Seed) -> None:
        place = self._place(data, seed)
        if place < len(data):
            data[place] ^= 1 << self._random.randrange(8)

    def _field(self, data: bytearray, seed: Seed) -> None:
        place, size = self._place(data, seed), self._random.choice((1, 1, 2, 4, 4, 8))
        value = self._random.choice((*_VALUES, len(data), len(data) // 2048, self._random.randrange(100)))
        if self._random.random() < 0.3:
            value += int.from_bytes(data[place : place + size], "little")
        value %= 1 << (8 * size if size < 8 else 32)
        little = value.to_bytes(size, "little")
        # cpio keeps numbers as hexadecimal text.
        data[place : place + size] = b"%08X" % value if size == 8 and self._random.random() < 0.5 else little

    def _double(self, data: bytearray, seed: Seed) -> None:
        if seed.doubles:
            place = self._random.choice(seed.doubles)
            near = int.from_bytes(data[place : place + 4], "little") + self._random.randint(-3, 3)
            value = self._random.choice((near, near, *_VALUES, len(data), len(data) // 2048)) % (1 << 32)
            data[place : place + 8] = value.to_bytes(4, "little") + value.to_bytes(4, "big")

    def _word(self, data: bytearray, seed: Seed) -> None:
        place = self._place(data, seed)
        data[place : place + self._random.choice((0, 0, 5))] = self._random.choice(_WORDS)

    def _cut(self, data: bytearray, seed: Seed) -> None:
        place, length = self._place(data, seed), self._random.choice((1, 4, 64, 512, 2048))
        kind = self._random.random()
        if kind < 0.2:
            del data[place:]
        elif kind < 0.6:
            del data[place : place + length]
        else:
            data[place:place] = bytes(length)

    def _swap(self, data: bytearray, seed: Seed) -> None:
        size = self._random.choice((16, 64, 1024, 2048))
        first, second = (self._place(data, seed) // size * size for _ in range(2))
        one, other = data[first : first + size], data[second : second + size]
        if len(one) == len(other):
            data[first : first + size], data[second : second + size] = other, one

    def _splice(self, data: bytearray, seed: Seed) -> None:
        other = self._random.choice(self._seeds)
        start, length = self._random.choice(other.places), self._random.choice((8, 40, 200, 2048))
        place = self._place(data, seed)
        data[place : place + length] = other.data[start : start + length]


@dataclass(frozen=True, slots=True)
class Findings:
    """How often each outcome came, a text for every input that failed, and the seconds that reading took."""

    outcomes: Counter[str]
    failures: list[str]
    seconds: float


def fuzz(kind: str, count: int, seed: int) -> Findings:
    """Read the valid inputs, then `count` damaged ones."""
    found = Findings(Counter(), [], 0.0)
    valid = corpus(kind)
    for data in valid:
        check_one(kind, data)
    signal.signal(signal.SIGALRM, _raise_hang)
    started = time.monotonic()
    for data in islice(Mutator(valid, f"{kind} {seed}", is_text=kind == "config").inputs(), count):
        _try_one(kind, data, found)
    return replace(found, seconds=time.monotonic() - started)


def _try_one(kind: str, data: bytes, found: Findings) -> None:
    signal.setitimer(signal.ITIMER_REAL, SECONDS_PER_INPUT)
    try:
        found.outcomes[outcome_of(kind, data)] += 1
    except (Exception, Hang) as error:  # whatever a parser raises is what is looked for
        signal.setitimer(signal.ITIMER_REAL, 0)
        trace = traceback.format_exc(limit=-6)
        found.failures.append(f"{_save(kind, data)}: {type(error).__name__}: {error}\n{trace}")
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def _raise_hang(*_: object) -> None:
    message = f"not done after {SECONDS_PER_INPUT} s"
    raise Hang(message)


def _save(kind: str, data: bytes) -> Path:
    SAVED.mkdir(parents=True, exist_ok=True)
    path = SAVED / f"{kind}-{hashlib.sha256(data).hexdigest()[:16]}"
    path.write_bytes(data)
    return path


def _guided(kind: str, count: int, seed: int) -> None:
    """Run atheris (libFuzzer): it ends the process at the first failure and keeps what it learned under build/fuzz."""
    atheris = importlib.import_module("atheris")
    known = SAVED / f"corpus-{kind}"
    known.mkdir(parents=True, exist_ok=True)
    for number, data in enumerate(corpus(kind)):
        (known / f"valid-{number}").write_bytes(data)
    CONFIG_ISO.with_config(b"")
    atheris.instrument_all()
    limits = ["-timeout=10", "-max_len=131072", f"-artifact_prefix={SAVED}/{kind}-"]
    arguments = [sys.argv[0], f"-runs={count}", f"-seed={seed}", *limits, str(known)]
    atheris.Setup(arguments, lambda data: check_one(kind, data))
    atheris.Fuzz()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=20_000, help="inputs of each kind")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kind", choices=sorted(READERS), action="append")
    parser.add_argument("--atheris", action="store_true", help="let coverage guide the input (one kind)")
    parser.add_argument("--input", type=Path, help="read this one saved input of --kind again")
    chosen = parser.parse_args()
    kinds = chosen.kind or list(READERS)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, resource.getrlimit(resource.RLIMIT_AS)[1]))
    if chosen.input:
        print(outcome_of(kinds[0], chosen.input.read_bytes()))
        return 0
    if missing := [tool for tool in TOOLS if shutil.which(tool) is None]:
        parser.error(f"valid inputs are made with {', '.join(missing)}, which isn't installed")
    if chosen.atheris:
        _guided(kinds[0], chosen.count, chosen.seed)
        return 0
    return max(_report(kind, chosen.count, chosen.seed) for kind in kinds)


def _report(kind: str, count: int, seed: int) -> int:
    found = fuzz(kind, count, seed)
    rate = f"{count} inputs in {found.seconds:.1f} s, {count / found.seconds:.0f}/s"
    print(f"{kind}: {rate}, {len(found.outcomes)} outcomes, {len(found.failures)} failed")
    print(
        *(f"  {number:7} {outcome}" for outcome, number in found.outcomes.most_common(SHOWN_OUTCOMES)),
        *found.failures[:10],
        sep="\n",
    )
    return 1 if found.failures else 0


if __name__ == "__main__":
    sys.exit(main())

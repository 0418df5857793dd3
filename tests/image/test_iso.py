"""The ISO reader against xorriso, genisoimage and GRUB's own driver, and against damage of every kind."""

from __future__ import annotations

import shutil
import struct
import subprocess
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from failback.errors import ImageError, IsoCorrupt, IsoTruncated, NotAnIso
from failback.image import iso as iso_module
from failback.image.iso import IsoFile, IsoVolume, SourceChain
from failback.image.source import BytesSource, FileSource

SECTOR = 2048
WRITERS = {
    "xorriso": ["xorriso", "-as", "mkisofs", "-quiet"],  # with Rock Ridge unless told otherwise
    "genisoimage": ["genisoimage", "-quiet"],
}
for tool in ("xorriso", "genisoimage", "grub-fstest"):
    if shutil.which(tool) is None:
        pytest.skip(f"{tool} isn't installed: it's what this reader is compared with", allow_module_level=True)

Tree = dict[str, bytes]


def write_tree(root: Path, tree: Tree) -> None:
    for path, content in tree.items():
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)


def build(root: Path, *options: str, writer: str = "xorriso", label: str = "DRSFAILBACK") -> Path:
    output = root.parent / f"{root.name}-{writer}{'-'.join(options)}.iso"
    command = [*WRITERS[writer], *options, "-V", label, str(root)]
    # To standard output, for xorriso waits for the disk after writing a file.
    output.write_bytes(subprocess.run(command, check=True, capture_output=True).stdout)
    return output


def contents(volume: IsoVolume) -> Tree:
    files = (file for file in volume.walk() if not file.is_directory)
    return {file.path.lstrip("/"): volume.read_file(file, limit=1 << 24) for file in files}


def open_bytes(data: bytes) -> IsoVolume:
    return IsoVolume.open(BytesSource(data))


def both32(value: int) -> bytes:
    return struct.pack("<I", value) + struct.pack(">I", value)


def record(name: bytes, block: int, length: int, *, flags: int = 0, use: bytes = b"") -> bytes:
    head = b"\0" + both32(block) + both32(length) + bytes(7) + bytes([flags, 0, 0]) + b"\1\0\0\1" + bytes([len(name)])
    body = head + name + bytes((len(name) + 1) % 2) + use
    return bytes([len(body) + 1]) + body


def handmade(records: list[bytes], data: bytes, *, root_use: bytes = b"", root_length: int = SECTOR) -> bytes:
    """A minimal ISO: descriptors in sectors 16 and 17, the root directory in 18, `data` from 19 on."""
    size = 19 + (len(data) + SECTOR - 1) // SECTOR
    descriptor = bytearray(SECTOR)
    descriptor[:7] = b"\1CD001\1"
    descriptor[40:72] = b"HANDMADE".ljust(32)
    descriptor[80:88] = both32(size)
    descriptor[128:132] = b"\0\x08\x08\0"
    descriptor[156:190] = record(b"\0", 18, root_length, flags=2)
    root = record(b"\0", 18, root_length, flags=2, use=root_use) + record(b"\1", 18, root_length, flags=2)
    root += b"".join(records)
    end = b"\xffCD001\1".ljust(SECTOR, b"\0")
    return bytes(16 * SECTOR) + descriptor + end + root.ljust(SECTOR, b"\0") + data.ljust((size - 19) * SECTOR, b"\0")


SP = b"SP\x07\x01\xbe\xef\0"
ER = b"ER\x12\x01\x0a\0\0\x01IEEE_P1282"
RR = SP + ER


def name_field(name: bytes, flags: int = 0) -> bytes:
    return b"NM" + bytes([5 + len(name), 1, flags]) + name


def further(block: int, offset: int, length: int) -> bytes:
    return b"CE\x1c\x01" + both32(block) + both32(offset) + both32(length)


# Names that every variant can hold: Joliet takes 64 characters and refuses some.
ROCK_RIDGE_NAMES = st.text(
    st.characters(min_codepoint=0x21, max_codepoint=0x24F, blacklist_characters='/\x7f"', blacklist_categories=["Cc"]),
    min_size=1,
    max_size=100,
).filter(lambda name: name not in (".", "..") and len(name.encode()) <= 200)
JOLIET_NAMES = st.text("abcXYZ019_-. äßπ", min_size=1, max_size=60).filter(
    lambda name: name.strip(". ") == name and name not in (".", "..")
)
PLAIN_NAMES = st.from_regex(r"[a-z0-9_]{1,8}(\.[a-z0-9_]{1,3})?", fullmatch=True)
CONTENTS = st.one_of(st.binary(max_size=60), st.integers(0, 9000).map(lambda n: bytes(i % 251 for i in range(n))))


def trees(names: st.SearchStrategy[str]) -> st.SearchStrategy[Tree]:
    paths = st.lists(names, min_size=1, max_size=4).map("/".join)
    return st.dictionaries(paths, CONTENTS, min_size=1, max_size=8).map(without_conflicts)


def without_conflicts(tree: Tree) -> Tree:
    """Leave out what would be a file and a directory at once, also where only case differs."""
    kept: Tree = {}
    for path, content in sorted(tree.items()):
        folded = path.casefold()
        others = [other.casefold() for other in kept]
        if not any(folded == o or folded.startswith(o + "/") or o.startswith(folded + "/") for o in others):
            kept[path] = content
    return kept


def check_variant(tree: Tree, writer: str, options: list[str], naming: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "tree"
        write_tree(root, tree)
        with FileSource(build(root, *options, writer=writer)) as source:
            volume = IsoVolume.open(source)
            assert volume.naming == naming
            assert contents(volume) == tree
            for path, content in tree.items():
                found = volume.find("/" + path)
                assert found is not None
                assert (found.path, found.size) == ("/" + path, len(content))


PROPERTY = settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@pytest.mark.parametrize("writer", WRITERS)
class TestRandomTrees:
    @PROPERTY
    @given(tree=trees(ROCK_RIDGE_NAMES))
    def test_rock_ridge(self, writer: str, tree: Tree) -> None:
        options = ["-R", "-input-charset", "utf-8"] if writer == "genisoimage" else ["-R"]
        check_variant(tree, writer, options, "rock-ridge")

    @PROPERTY
    @given(tree=trees(JOLIET_NAMES))
    def test_joliet(self, writer: str, tree: Tree) -> None:
        options = ["-J", "-input-charset", "utf-8"] if writer == "genisoimage" else ["-J", "--norock"]
        check_variant(tree, writer, options, "joliet")

    @PROPERTY
    @given(tree=trees(PLAIN_NAMES))
    def test_plain(self, writer: str, tree: Tree) -> None:
        check_variant(tree, writer, ["-iso-level", "1", *(["--norock"] if writer == "xorriso" else [])], "plain")


TRICKY: Tree = {
    "isolinux/vmlinuz": b"kernel" * 1000,
    "isolinux/initrd.img": b"initrd",
    "LiveOS/squashfs.img": bytes(range(256)) * 40,
    "Mixed Case Dir/a name with blanks.txt": b"1",
    "no_extension": b"2",
    "two.dots.here": b"3",
    "a-very-long-name-that-no-plain-iso-holds.cfg": b"4",
    "empty": b"",
}


@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize("options", [(), ("-R",), ("-J",), ("-R", "-J"), ("-l",)], ids="".join)
def test_every_path_is_the_one_that_grub_sees(tmp_path: Path, writer: str, options: tuple[str, ...]) -> None:
    write_tree(tmp_path / "tree", TRICKY)
    if writer == "xorriso" and "-R" not in options:
        options = (*options, "--norock")
    image = build(tmp_path / "tree", *options, writer=writer)
    with FileSource(image) as source:
        volume = IsoVolume.open(source)
        found = contents(volume)
    assert sorted(found.values()) == sorted(TRICKY.values())
    for number, (path, content) in enumerate(found.items()):
        copy = tmp_path / f"copy{number}"
        copy.write_bytes(content)
        compared = subprocess.run(["grub-fstest", image, "cmp", f"/{path}", copy], capture_output=True, check=False)
        assert compared.returncode == 0, (path, compared.stderr)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    root = tmp_path_factory.mktemp("small") / "tree"
    write_tree(root, TRICKY)
    (root / "link").symlink_to("isolinux")
    (root / "isolinux" / "kernel").symlink_to("../link/./vmlinuz")
    (root / "absolute").symlink_to("/isolinux/initrd.img")
    (root / "circle").symlink_to("circle")
    (root / "circle2").symlink_to("link/../circle2/x")
    (root / "dangling").symlink_to("nowhere/at/all")
    (root / "outside").symlink_to("../../../../isolinux/vmlinuz")
    (root / "far").symlink_to("./" * 300 + "isolinux/vmlinuz")
    return build(root, "-R", "-J", label="MY LABEL").read_bytes()


def test_volume_facts(small: bytes) -> None:
    volume = open_bytes(small + b"a hybrid ISO's trailing partition")
    assert volume.label == "MY LABEL"
    assert volume.size == len(small)
    assert volume.created.startswith("20")
    assert volume.created.endswith(("+00:00", "00", "30", "45"))


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/link/vmlinuz", "/isolinux/vmlinuz"),
        ("link/kernel", "/isolinux/vmlinuz"),
        ("/absolute", "/isolinux/initrd.img"),
        ("/outside", "/isolinux/vmlinuz"),
        ("/far", "/isolinux/vmlinuz"),
        ("//isolinux/./../ISOLINUX/Vmlinuz", "/isolinux/vmlinuz"),
        ("/liveos/SQUASHFS.img", "/LiveOS/squashfs.img"),
        ("/", "/"),
        ("../..", "/"),
        ("/link", "/isolinux"),
        ("/circle", None),
        ("/circle2", None),
        ("/dangling", None),
        ("/empty/below", None),
        ("/isolinux/none", None),
        ("/" + "a" * 5000, None),
        ("/." * 3000, None),
    ],
)
def test_find(small: bytes, path: str, expected: str | None) -> None:
    found = open_bytes(small).find(path)
    assert (found and found.path) == expected


def test_only_a_unique_name_matches_in_another_case() -> None:
    use = [name_field(b"Boot"), name_field(b"boot"), name_field(b"Other")]
    records = [record(b"A%d" % n, 19, 5, use=field) for n, field in enumerate(use)]
    volume = open_bytes(handmade(records, b"hello", root_use=RR))
    assert volume.find("BOOT") is None
    assert volume.find("boot") == IsoFile("/boot", ((19 * SECTOR, 5),), is_directory=False)
    assert volume.find("OTHER") == IsoFile("/Other", ((19 * SECTOR, 5),), is_directory=False)


def test_list_and_open(small: bytes) -> None:
    volume = open_bytes(small)
    assert {file.path for file in volume.list("/link")} == {"/isolinux/vmlinuz", "/isolinux/initrd.img"}
    assert volume.list("/nowhere") == []
    assert volume.list("/empty") == []
    squashfs = volume.find("/LiveOS/squashfs.img")
    assert squashfs is not None
    assert volume.open_file(squashfs).read(255, 3) == b"\xff\x00\x01"
    with pytest.raises(IsoCorrupt, match=r"/LiveOS/squashfs.img: has 10240 bytes where at most 10239"):
        volume.read_file(squashfs, limit=10239)
    folder = volume.find("/LiveOS")
    assert folder is not None
    with pytest.raises(IsoCorrupt, match="is a directory"):
        volume.open_file(folder)


@pytest.mark.parametrize("writer", WRITERS)
def test_deep_directories(tmp_path: Path, writer: str) -> None:
    deep = "/".join(f"level{n}" for n in range(30))
    write_tree(tmp_path / "tree", {f"{deep}/vmlinuz": b"deep", "level0/level1/other": b"near"})
    image = build(tmp_path / "tree", "-R", writer=writer)
    with FileSource(image) as source:
        volume = IsoVolume.open(source)
        found = volume.find(f"/{deep}/vmlinuz")
        assert found is not None
        assert volume.read_file(found, limit=100) == b"deep"
        assert sorted(contents(volume).values()) == [b"deep", b"near"]
    # genisoimage moves what is below the eighth level, and GRUB sees it where it was moved to.
    assert found.path.startswith("/rr_moved/" if writer == "genisoimage" else "/level0/")
    shown = subprocess.run(["grub-fstest", image, "cat", found.path], capture_output=True, check=False)
    assert shown.stdout == b"deep"


def test_long_names_and_links_go_on_in_further_areas(tmp_path: Path) -> None:
    root = tmp_path / "tree"
    name = "n" * 250
    write_tree(root, {name: b"found", f"folder/{name}x": b"also"})
    (root / ("l" * 250)).symlink_to("./" * 350 + name)
    for writer in WRITERS:
        volume = open_bytes(build(root, "-R", writer=writer).read_bytes())
        assert contents(volume) == {name: b"found", f"folder/{name}x": b"also"}
        # genisoimage writes such a link wrongly, which must not hide anything else.
        if writer == "xorriso":
            found = volume.find("l" * 250)
            assert found is not None
            assert found.path == f"/{name}"


def test_a_file_of_several_extents() -> None:
    data = b"A" * SECTOR + b"-" * SECTOR + b"B" * 100
    parts = [
        record(b"BIG.BIN;1", 19, SECTOR, flags=0x80),
        record(b"BIG.BIN;1", 21, 100),
        record(b"SMALL.;1", 20, 3),
    ]
    volume = open_bytes(handmade(parts, data))
    big = volume.find("/big.bin")
    assert big is not None
    assert big.extents == ((19 * SECTOR, SECTOR), (21 * SECTOR, 100))
    content = volume.open_file(big)
    assert content.size == big.size == SECTOR + 100
    assert content.read(SECTOR - 2, 4) == b"AABB"
    assert content.read(0, content.size) == b"A" * SECTOR + b"B" * 100
    assert content.read(content.size, 0) == b""
    for offset, length in ((0, content.size + 1), (-1, 2), (5, -1)):
        with pytest.raises(IsoTruncated):
            content.read(offset, length)
    assert [file.path for file in volume.walk()] == ["/big.bin", "/small"]


@given(parts=st.lists(st.binary(max_size=9), max_size=6), data=st.data())
def test_a_chain_reads_like_the_whole(parts: list[bytes], data: st.DataObject) -> None:
    whole = b"".join(parts)
    offset = data.draw(st.integers(0, len(whole)))
    length = data.draw(st.integers(0, len(whole) - offset))
    chain = SourceChain([BytesSource(part) for part in parts])
    assert chain.read(offset, length) == whole[offset : offset + length]


@pytest.mark.parametrize("following", [[], [record(b"OTHER.;1", 19, 1)]])
def test_a_further_extent_that_is_missing(following: list[bytes]) -> None:
    volume = open_bytes(handmade([record(b"BIG.;1", 19, SECTOR, flags=0x80), *following], b"x"))
    with pytest.raises(IsoCorrupt, match="'big' should go on"):
        list(volume.walk())


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "empty"),
        (b"<html>Access denied</html>", "saved error page"),
        (bytes(17 * SECTOR), "no ISO 9660"),
        (bytes(1 << 20), "no ISO 9660"),
    ],
)
def test_what_is_no_iso(data: bytes, words: str) -> None:
    with pytest.raises(NotAnIso, match=words):
        open_bytes(data)


def test_an_iso_without_a_primary_descriptor() -> None:
    data = bytearray(handmade([], b""))
    data[16 * SECTOR] = 0
    with pytest.raises(NotAnIso, match="no primary"):
        open_bytes(bytes(data))


def test_every_truncation_is_refused(small: bytes) -> None:
    cuts = [n * SECTOR + delta for n in range(len(small) // SECTOR) for delta in (0, 1, 100)] + [len(small) - 1]
    for cut in cuts:
        with pytest.raises(NotAnIso if cut < 17 * SECTOR else IsoTruncated):
            open_bytes(small[:cut])


def test_a_file_beyond_the_end_is_named(small: bytes) -> None:
    data = handmade([record(b"SQUASHFS.IMG;1", 19, 900 * 1024 * 1024)], b"x")
    with pytest.raises(IsoTruncated, match=r"/squashfs.img: lies at bytes 38912 to 943757312"):
        open_bytes(data).find("/squashfs.img")
    cut = bytearray(small)
    # A volume that states less than it holds, cut there: only the files can tell.
    cut[16 * SECTOR + 80 : 16 * SECTOR + 88] = both32(40)
    with pytest.raises(IsoTruncated, match=r"^/"):
        list(open_bytes(bytes(cut[: 40 * SECTOR])).walk())


def descriptor_with(offset: int, value: bytes) -> bytes:
    data = bytearray(handmade([record(b"A.;1", 19, 1)], b"x"))
    data[16 * SECTOR + offset : 16 * SECTOR + offset + len(value)] = value
    return bytes(data)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (descriptor_with(128, b"\0\x02\x02\0"), "blocks of 512 bytes"),
        (descriptor_with(80, struct.pack("<I", 19) + struct.pack(">I", 20)), "stated twice, as 19 and as 20"),
        (descriptor_with(156 + 25, b"\0"), "root isn't marked"),
        (descriptor_with(SECTOR, b"\0"), "sector 18 should hold"),
        (descriptor_with(SECTOR + 1, b"XXXXX"), "should hold a volume descriptor"),
        (descriptor_with(SECTOR, bytes(SECTOR) + b"\1CD001"), "should hold a volume descriptor"),
        (handmade([], b"\xffCD001".ljust(SECTOR)).replace(b"\xffCD001\1", b"\0CD001\1"), "should hold"),
    ],
)
def test_damaged_descriptors(data: bytes, words: str) -> None:
    with pytest.raises(IsoCorrupt, match=words):
        open_bytes(data)


def test_endless_and_contradicting_descriptors() -> None:
    plain = handmade([], b"x")
    boot = b"\0CD001\1".ljust(SECTOR, b"\0")
    with pytest.raises(IsoCorrupt, match="no end within 64"):
        open_bytes(plain[: 17 * SECTOR] + boot * 80)
    other = plain[16 * SECTOR : 17 * SECTOR].replace(b"HANDMADE", b"FORGED  ")
    shifted = plain[: 17 * SECTOR] + other + plain[17 * SECTOR :]
    with pytest.raises(IsoCorrupt, match="two different primary"):
        open_bytes(shifted)


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        (b"\x21" + bytes(32), "too short"),
        (b"\x22" + bytes(31) + b"\xff\0", "too short"),
        (record(b"", 19, 1), "too short"),
        (b"\x60" + record(b"A" * 200, 1, 1)[1:] + b"\xff" * 1600, "too short|crosses its sector"),
        (record(b"A.;1", 19, 1)[:6] + b"\7" + record(b"A.;1", 19, 1)[7:], "a file's place is stated twice"),
        (record(b"A.;1", 19, 1)[:26] + b"\1" + record(b"A.;1", 19, 1)[27:], "interleaved"),
        (record(b"A/B.;1", 19, 1), "no path"),
        (record(b";1", 19, 1), "no path"),
        (record(b"A", 19, 1, use=name_field(b"n" * 170) + further(19, 0, 95)), "more than 255"),
        (record(b"A", 19, 1, use=name_field(b"a/b")), "no path"),
        (record(b"A", 19, 1, use=b"CE\x08\1\0\0\0\0"), "8 bytes|4 bytes"),
        (record(b"A", 19, 1, use=further(20, 0, 28)), "without end"),
        (record(b"A", 19, 1, use=further(19, 0, 1 << 30)), "1073741824 bytes"),
        (record(b"A", 19, 1, use=b"PX\x0c\1" + both32(0o040755)), "directory by one"),
        (record(b"A", 19, 1, use=b"PX\x0c\1" + both32(0o100644), flags=2), "directory by one"),
        (record(b"A", 18, SECTOR + 1, flags=0x82) + record(b"A", 18, SECTOR, flags=2), "a directory of"),
        (record(b"A", 18, 1 << 30, flags=2), r"^/A|^/a"),
    ],
)
def test_damaged_records(entry: bytes, words: str) -> None:
    data = name_field(b"n" * 90).ljust(SECTOR, b"\0") + further(20, 0, 28).ljust(SECTOR, b"\0")
    volume = open_bytes(
        handmade([entry], data, root_use=RR if b"NM" in entry or b"CE" in entry or b"PX" in entry else b"")
    )
    with pytest.raises(ImageError, match=words):
        list(volume.walk())


def test_attributes_beyond_the_end() -> None:
    volume = open_bytes(handmade([record(b"A", 19, 1, use=further(9999, 0, 28))], b"x", root_use=RR))
    with pytest.raises(IsoTruncated):
        list(volume.walk())


def test_a_gigantic_directory_is_refused_before_it_is_read() -> None:
    class Sparse(BytesSource):
        longest = 0

        @property
        def size(self) -> int:
            return 1 << 40

        def read(self, offset: int, length: int) -> bytes:
            self.longest = max(self.longest, length)
            return super().read(offset, length) if offset + length <= len(self._data) else bytes(length)

    source = Sparse(handmade([record(b"HUGE", 19, 3 << 30, flags=2)], b""))
    with pytest.raises(IsoCorrupt, match=r"/huge: a directory of 3221225472 bytes"):
        list(IsoVolume.open(source).walk())
    assert source.longest <= SECTOR
    # Many directories of the permitted size that overlap are bounded together.
    many = [record(b"D%d" % n, 19 + n, iso_module.MAX_DIRECTORY_BYTES, flags=2) for n in range(30)]
    with pytest.raises(IsoCorrupt, match="more directories than"):
        list(IsoVolume.open(Sparse(handmade(many, b""))).walk())


def test_circles_of_directories_end() -> None:
    below = (
        record(b"\0", 19, SECTOR, flags=2) + record(b"UP", 18, SECTOR, flags=2) + record(b"SELF", 19, SECTOR, flags=2)
    )
    volume = open_bytes(handmade([record(b"SUB", 19, SECTOR, flags=2)], below))
    assert [file.path for file in volume.walk()] == ["/sub", "/sub/up", "/sub/self"]
    assert volume.find("/sub/self" * 500) is None
    assert volume.find("/sub" + "/self" * 20) is not None


def test_directories_too_deep_are_refused() -> None:
    depth = iso_module.MAX_DEPTH + 2
    sectors = [record(b"D", 20 + n, SECTOR, flags=2).ljust(SECTOR, b"\0") for n in range(depth)]
    with pytest.raises(IsoCorrupt, match="over 128 deep"):
        list(open_bytes(handmade([record(b"D", 19, SECTOR, flags=2)], b"".join(sectors) + bytes(SECTOR))).walk())
    long = b"N" * 200
    sectors = [record(long, 20 + n, SECTOR, flags=2).ljust(SECTOR, b"\0") for n in range(40)]
    with pytest.raises(IsoCorrupt, match="path of more than 4096"):
        list(open_bytes(handmade([record(long, 19, SECTOR, flags=2)], b"".join(sectors) + bytes(SECTOR))).walk())


def test_too_many_names_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    # What would take a second to read otherwise.
    monkeypatch.setattr(iso_module, "MAX_FILES", 5_000)
    one = record(b"F", 19, 1)
    sectors = (one * (SECTOR // len(one))).ljust(SECTOR, b"\0") * (iso_module.MAX_FILES // (SECTOR // len(one)) + 1)
    volume = open_bytes(handmade([record(b"D", 19, len(sectors), flags=2)], sectors))
    with pytest.raises(IsoCorrupt, match="more names than"):
        list(volume.walk())


def link_field(*components: bytes) -> bytes:
    body = b"".join(components)
    return b"SL" + bytes([5 + len(body), 1, 0]) + body


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (link_field(b"\x08\0", b"\0\x04FILE"), "/file"),
        (link_field(b"\1\2fi", b"\0\2le"), "/file"),
        (link_field(b"\1\2fi") + link_field(b"\0\2le"), "/file"),
        (link_field(b"\x02\0", b"\x04\0", b"\0\4file"), "/file"),
        (link_field(b"\x08\0"), "/"),
        (link_field(), None),
        (b"", None),
        (link_field(b"\0\xfffile"), "/file"),
    ],
)
def test_link_components(fields: bytes, expected: str | None) -> None:
    use = b"PX\x0c\1" + both32(0o120777) + name_field(b"link") + fields
    records = [record(b"A", 19, 0, use=use), record(b"B", 19, 1, use=name_field(b"file"))]
    found = open_bytes(handmade(records, b"x", root_use=RR)).find("/link")
    assert (found and found.path) == expected


def test_names_as_grub_makes_them() -> None:
    use = [
        name_field(b"fo", 1) + name_field(b"o") + b"NM\3\1\0a",
        name_field(b"cut\0here") + b"NM\x40\1\0a",
        name_field(b".", 2),
        b"ST\4\1" + name_field(b"late"),
        name_field(b"\xff"),
    ]
    records = [record(b"NAME%d.;1" % n, 19, 1, use=field) for n, field in enumerate(use)]
    volume = open_bytes(handmade(records, b"x", root_use=RR))
    assert [file.path for file in volume.walk()] == ["/foo", "/cut", "/name3", "/\N{REPLACEMENT CHARACTER}"]
    # Without SP in the first place, or without ER, GRUB doesn't take it for Rock Ridge.
    for root_use in (b"", SP, b"XX\x05\1\0" + RR):
        assert open_bytes(handmade(records, b"x", root_use=root_use)).naming == "plain"


def test_child_links_that_lead_nowhere() -> None:
    use = name_field(b"moved") + b"CL\x0c\1" + both32(700)
    volume = open_bytes(handmade([record(b"A", 19, 1, use=use)], b"x", root_use=RR))
    assert volume.find("/moved/file") is None
    assert list(volume.walk()) == []


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damage_is_an_image_error_or_harmless(small: bytes, data: st.DataObject) -> None:
    damaged = bytearray(small)
    metadata = [16 * SECTOR, 17 * SECTOR, *range(20 * SECTOR, 32 * SECTOR, SECTOR)]
    for _ in range(data.draw(st.integers(1, 5))):
        position = data.draw(st.sampled_from(metadata)) + data.draw(st.integers(0, 400))
        damaged[position] = data.draw(st.integers(0, 255))
    try:
        volume = open_bytes(bytes(damaged))
        for file in volume.walk():
            volume.find(file.path)
    except ImageError:
        return
    assert volume.label == "MY LABEL" or damaged[16 * SECTOR + 40 : 16 * SECTOR + 72] != small[16 * SECTOR + 40 :][:32]

"""What is booted: the ways of writing a boot configuration that live ISOs use, and what each mistake leads to."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from failback.errors import BootFileMissing, ImageError, IsoCorrupt
from failback.image.iso import IsoVolume
from failback.image.isolinux import BootEntry, boot_entries, find_boot_entry
from failback.image.source import BytesSource

if shutil.which("genisoimage") is None:
    pytest.skip("genisoimage isn't installed: it makes the ISOs that are read here", allow_module_level=True)

Files = dict[str, str]
BOTH: Files = {"isolinux/vmlinuz": "kernel", "isolinux/initrd.img": "initrd"}
LIVE = "root=live:CDLABEL=DRSFAILBACK rd.live.image"


def volume_of(files: Files, *, label: str = "DRSFAILBACK", options: tuple[str, ...] = ("-R",)) -> IsoVolume:
    with tempfile.TemporaryDirectory() as folder:
        for path, content in files.items():
            target = Path(folder) / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content.encode("utf-8", "surrogateescape"))
        command = ["genisoimage", "-quiet", *options, "-input-charset", "utf-8", "-V", label, folder]
        return IsoVolume.open(BytesSource(subprocess.run(command, check=True, capture_output=True).stdout))


def chosen(configuration: str, *, path: str = "isolinux/isolinux.cfg", more: Files | None = None) -> BootEntry:
    return find_boot_entry(volume_of({**BOTH, path: configuration, **(more or {})}))


LIVECD_TOOLS = """\
default vesamenu.c32
timeout 600
menu background splash.jpg
menu title Welcome to the client!
label linux0
  menu label ^Start
  kernel vmlinuz
  append initrd=initrd.img root=live:CDLABEL=DRSFAILBACK rootfstype=auto ro rd.live.image quiet  rhgb rd.luks=0
menu default
label check0
  menu label Verify and boot
  kernel vmlinuz
  append initrd=initrd.img root=live:CDLABEL=DRSFAILBACK rootfstype=auto ro rd.live.image quiet rhgb rd.live.check
label memtest
  kernel memtest
label local
  menu label Boot from ^local drive
  localboot 0xffff
"""


def test_the_layout_of_livecd_tools() -> None:
    entry = chosen(LIVECD_TOOLS)
    assert entry == BootEntry(
        name="linux0",
        kernel="/isolinux/vmlinuz",
        initrds=("/isolinux/initrd.img",),
        arguments=(
            "root=live:CDLABEL=DRSFAILBACK", "rootfstype=auto", "ro", "rd.live.image", "quiet", "rhgb", "rd.luks=0",
        ),
        origin="/isolinux/isolinux.cfg",
        reason="it's the menu's default",
    )  # fmt: skip
    entries = boot_entries(volume_of({**BOTH, "isolinux/isolinux.cfg": LIVECD_TOOLS}))
    assert [one.name for one in entries] == ["linux0", "check0"]


@pytest.mark.parametrize(
    "path",
    [
        "boot/isolinux/isolinux.cfg",
        "boot/isolinux/syslinux.cfg",
        "boot/syslinux/syslinux.cfg",
        "syslinux/isolinux.cfg",
        "syslinux/syslinux.cfg",
        "syslinux.cfg",
        "isolinux.cfg",
        "some/other/place/ISOLINUX.CFG",
    ],
)
def test_where_a_configuration_may_lie(path: str) -> None:
    folder = path.rpartition("/")[0]
    files = {path: LIVECD_TOOLS, f"{folder}/vmlinuz".lstrip("/"): "k", f"{folder}/initrd.img".lstrip("/"): "i"}
    entry = find_boot_entry(volume_of(files))
    assert entry.origin == f"/{path}"
    assert entry.kernel == f"/{folder}/vmlinuz".replace("//", "/")


def test_the_order_in_which_isolinux_looks() -> None:
    other = LIVECD_TOOLS.replace("linux0", "other")
    files = {**BOTH, "boot/isolinux/vmlinuz": "k", "boot/isolinux/initrd.img": "i"}
    files |= {"isolinux/isolinux.cfg": LIVECD_TOOLS, "boot/isolinux/isolinux.cfg": other}
    assert find_boot_entry(volume_of(files)).name == "other"
    # One that has no Linux entry doesn't keep the next from being read.
    files["boot/isolinux/isolinux.cfg"] = "default local\nlabel local\nlocalboot 0\n"
    assert find_boot_entry(volume_of(files)).name == "linux0"


@pytest.mark.parametrize("options", [(), ("-J",), ("-R",)], ids="".join)
def test_any_naming(options: tuple[str, ...]) -> None:
    entry = find_boot_entry(volume_of({**BOTH, "isolinux/isolinux.cfg": LIVECD_TOOLS}, options=options))
    assert (entry.kernel, entry.initrds) == ("/isolinux/vmlinuz", ("/isolinux/initrd.img",))


ENTRY = f"label a\nkernel vmlinuz\nappend initrd=initrd.img {LIVE} one\n"


@pytest.mark.parametrize(
    "configuration",
    [
        ENTRY.upper()
        .replace("VMLINUZ", "vmlinuz")
        .replace("INITRD=INITRD.IMG", "initrd=initrd.img")
        .replace("ONE", "one"),
        ENTRY.replace("\n", "\r\n"),
        ENTRY.replace("\n", "\r"),
        ENTRY.replace(" ", "\t  "),
        "\ufeff# a comment\n#another\n\n" + ENTRY.replace("\n", "\n  # between\n\t"),
        ENTRY.replace("kernel", "LINUX"),
        ENTRY.replace("kernel vmlinuz", "kernel /isolinux/vmlinuz"),
        ENTRY.replace("kernel vmlinuz", "kernel isolinux/vmlinuz"),
        ENTRY.replace("kernel vmlinuz", "kernel ../isolinux/VMLINUZ"),
        ENTRY.replace("initrd=initrd.img ", "") + "initrd initrd.img\n",
        ENTRY.replace("initrd=initrd.img", "initrd=/isolinux/initrd.img"),
        ENTRY + "initrd initrd.img\n",
        ENTRY.replace("kernel vmlinuz\nappend", "kernel vmlinuz"),
        "append initrd=initrd.img " + LIVE + " one\nlabel a\nkernel vmlinuz\n",
        "append wrong\n" + ENTRY,
        "text help\nlabel wrong\nkernel wrong\nendtext\n" + ENTRY,
        ENTRY + "text help\nkernel wrong\nendtext\n",
        "prompt 0\nui menu.c32\n" + ENTRY + "f1 help.txt\nsay hello\n",
        "default a\n"
        + ENTRY
        + "label b\nkernel vmlinuz\nappend initrd=initrd.img\nlabel b.c32\nkernel chain.c32\nappend x\n",
        ENTRY
        + "label z\nkernel linux.0\nappend initrd=initrd.img\n label y\nconfig /other.cfg\nappend initrd=initrd.img\n",
        "label x\nkernel ifcpu64.c32\nappend a -- b initrd=initrd.img\nmenu default\n" + ENTRY,
        "label vmlinuz\nmenu hide\n"
        + ENTRY.replace("\nappend", "\nappend").replace("label a", "label a\nmenu default"),
    ],
)
def test_ways_of_writing_one_entry(configuration: str) -> None:
    entry = chosen(configuration)
    assert entry.name.lower() == "a"
    assert (entry.kernel, entry.initrds) == ("/isolinux/vmlinuz", ("/isolinux/initrd.img",))
    assert [word.lower() for word in entry.arguments] == [*LIVE.lower().split(), "one"]


def test_escapes_and_quotes_are_kept() -> None:
    append = r'append initrd=initrd.img root=live:CDLABEL=A\x20B dyndbg="file a.c +p" x=\\ y=$z'
    entry = chosen(f"label a\\x20b\nkernel vmlinuz\n{append}\n")
    assert entry.name == "a\\x20b"
    assert entry.arguments == (r"root=live:CDLABEL=A\x20B", 'dyndbg="file a.c +p"', r"x=\\", "y=$z")


def test_several_initrds() -> None:
    more = {"isolinux/ucode.img": "u", "boot/extra.img": "e", "isolinux/third": "t"}
    append = "append initrd=ucode.img,initrd.img a initrd=/boot/extra.img initrd=initrd.img"
    entry = chosen(f"label a\nkernel vmlinuz\ninitrd third\n{append}\n", more=more)
    assert entry.initrds == ("/isolinux/third", "/isolinux/ucode.img", "/isolinux/initrd.img", "/boot/extra.img")
    assert entry.arguments == ("a",)


def test_append_of_a_single_dash_means_none() -> None:
    entry = chosen("append initrd=initrd.img global\nlabel a\nkernel vmlinuz\ninitrd initrd.img\nappend -\n")
    assert entry.arguments == ()


def labelled(name: str, *lines: str, arguments: str = "") -> str:
    return "\n".join([f"label {name}", "kernel vmlinuz", f"append initrd=initrd.img {arguments}", *lines, ""])


ALL = (
    labelled("first")
    + labelled("live", arguments=LIVE)
    + labelled("menu", "menu default")
    + labelled("plain")
    + labelled("time")
)


@pytest.mark.parametrize(
    ("configuration", "name", "reason"),
    [
        ("ontimeout time\ndefault plain\n" + ALL, "time", "nobody chooses"),
        ("default plain\n" + ALL, "menu", "menu's default"),
        ("default plain\n" + ALL.replace("menu default", ""), "plain", "the default"),
        ("default vesamenu.c32\n" + ALL.replace("menu default", ""), "live", "starts a live system"),
        ("default gone\nontimeout gone\n" + ALL.replace("menu default", "").replace(LIVE, ""), "first", "first entry"),
        ("ontimeout local\nlabel local\nlocalboot 0\n" + ALL, "menu", "menu's default"),
        (ALL + "menu begin more\n" + labelled("below", "menu default") + "menu end\n", "menu", "menu's default"),
        ("menu begin more\n" + labelled("below", "menu default") + "menu end\n", "below", "menu's default"),
        (labelled("kept") + "menu begin x\nmenu default\nmenu end\n" + labelled("b"), "kept", "first entry"),
        (
            "default c\n" + labelled("c", arguments=LIVE + " rd.live.check") + labelled("l", arguments=LIVE),
            "l",
            "starts",
        ),
        ("default c\n" + labelled("n") + labelled("c", arguments=LIVE + " rd.live.check"), "c", "the default"),
    ],
)
def test_the_order_of_choice(configuration: str, name: str, reason: str) -> None:
    entry = chosen(configuration)
    assert entry.name == name
    assert reason in entry.reason


def test_a_default_with_further_arguments() -> None:
    entry = chosen(
        "default plain  single initrd=extra\tx\n" + ALL.replace("menu default", ""), more={"isolinux/extra": "e"}
    )
    assert entry.arguments == ("single", "x")
    assert entry.initrds == ("/isolinux/initrd.img", "/isolinux/extra")


def test_a_default_that_is_a_kernel_file() -> None:
    entry = chosen(f"append global\ndefault vmlinuz initrd=initrd.img {LIVE}\n")
    assert (entry.name, entry.kernel) == ("vmlinuz", "/isolinux/vmlinuz")
    assert entry.arguments == ("global", *LIVE.split())


def test_a_label_that_is_a_kernel_file() -> None:
    assert chosen("label vmlinuz\nappend initrd=initrd.img\n").kernel == "/isolinux/vmlinuz"


@pytest.mark.parametrize(
    "configuration",
    [
        "include menu.cfg",
        "MENU INCLUDE menu.cfg A title",
        "include /isolinux/menu.cfg",
        "include isolinux/menu.cfg",
        "include parts/outer.cfg",
        "include\ninclude none.cfg\ninclude isolinux.cfg\ninclude menu.cfg",
        "label local\nlocalboot 0\ninclude parts/circle.cfg",
    ],
)
def test_includes(configuration: str) -> None:
    more = {
        "isolinux/menu.cfg": labelled("included", arguments=LIVE),
        "isolinux/parts/outer.cfg": "include inner.cfg\n",
        "isolinux/parts/inner.cfg": labelled("included", arguments=LIVE),
        "isolinux/parts/circle.cfg": "include parts/circle2.cfg\ninclude menu.cfg\n",
        "isolinux/parts/circle2.cfg": "include circle.cfg\n",
    }
    entry = chosen(configuration + "\n", more=more)
    assert (entry.name, entry.origin) == ("included", "/isolinux/isolinux.cfg")


@pytest.mark.parametrize(
    ("configuration", "words"),
    [
        (
            ENTRY.replace("vmlinuz", "vmlinuz9"),
            r"entry 'a' names the kernel /isolinux/vmlinuz9.*initrd.img, isolinux.cfg",
        ),
        (
            ENTRY.replace("=initrd.img", "=/boot/i.img"),
            r"the initrd /boot/i.img, which isn't in the ISO \(in /boot: nothing",
        ),
        (ENTRY.replace("vmlinuz", "/isolinux"), r"names the kernel /isolinux,"),
    ],
)
def test_a_file_that_is_named_and_absent(configuration: str, words: str) -> None:
    with pytest.raises(BootFileMissing, match=words):
        chosen(configuration)
    assert boot_entries(volume_of({**BOTH, "isolinux/isolinux.cfg": configuration})) == ()


def test_a_long_folder_is_shown_in_part() -> None:
    more = {f"isolinux/module{n:03}.c32": "" for n in range(100)}
    with pytest.raises(BootFileMissing, match=r"module017.c32, \.\.\."):
        chosen(ENTRY.replace("kernel vmlinuz", "kernel missing"), more=more)


GRUB = r"""
set default="1"
set label='A\x20B'
function load { insmod gzio; }
# linux /wrong
menuentry 'Check it' --class gnu --class os {
    linuxefi /isolinux/vmlinuz root=live:CDLABEL=A\x20B rd.live.image rd.live.check
    initrdefi /isolinux/initrd.img
}
menuentry "Start \"it\"" {
    search --no-floppy --set=root -l 'A B'
    linux ($root)/isolinux/vmlinuz root=live:CDLABEL=${label} \
          rd.live.image "two words" $none quiet
    initrd (cd0)/isolinux/ucode.img ($root)/isolinux/initrd.img
}
submenu 'More' {
    menuentry 'Chain' { chainloader +1
    }
}
"""


@pytest.mark.parametrize("path", ["EFI/BOOT/grub.cfg", "boot/grub2/grub.cfg", "odd/GRUB.CFG"])
def test_grub_menus(path: str) -> None:
    entry = find_boot_entry(volume_of({**BOTH, "isolinux/ucode.img": "u", path: GRUB}))
    assert entry == BootEntry(
        name='Start "it"',
        kernel="/isolinux/vmlinuz",
        initrds=("/isolinux/ucode.img", "/isolinux/initrd.img"),
        arguments=(r"root=live:CDLABEL=A\x20B", "rd.live.image", "two words", "quiet"),
        origin=f"/{path}",
        reason="it's the default",
    )


def test_isolinux_goes_before_grub() -> None:
    assert chosen(ENTRY, more={"EFI/BOOT/grub.cfg": GRUB}).origin == "/isolinux/isolinux.cfg"


def test_grub_variables_that_grow() -> None:
    bomb = (
        "set a="
        + "x" * 100
        + "\n"
        + "set a=$a$a$a$a\n" * 50
        + "linux $a $a\n"
        + "menuentry m {\nlinux "
        + "$a " * 15000
    )
    with pytest.raises(IsoCorrupt, match="1048576 characters"):
        find_boot_entry(volume_of({**BOTH, "EFI/BOOT/grub.cfg": bomb}))


@pytest.mark.parametrize(
    ("files", "kernel", "initrd"),
    [
        (["isolinux/vmlinuz", "isolinux/initrd.img"], "/isolinux/vmlinuz", "/isolinux/initrd.img"),
        (["images/pxeboot/vmlinuz0", "images/pxeboot/initrd0.img"],
         "/images/pxeboot/vmlinuz0", "/images/pxeboot/initrd0.img"),
        (
            ["boot/vmlinuz-4.14.9", "boot/vmlinuz-5.10.209", "boot/initramfs-4.14.9.img", "boot/initramfs-5.10.209.img",
             "boot/initramfs-5.10.209kdump.img", "boot/vmlinuz-0-rescue-1", "boot/initramfs-0-rescue-1.img"],
            "/boot/vmlinuz-5.10.209", "/boot/initramfs-5.10.209.img",
        ),
        (["a/vmlinuz", "b/initrd", "x/y/vmlinuz", "x/y/initrd"], "/x/y/vmlinuz", "/x/y/initrd"),
        (["boot/vmlinuz-9", "boot/initrd-9", "isolinux/VMLINUZ", "isolinux/INITRD.IMG"],
         "/isolinux/VMLINUZ", "/isolinux/INITRD.IMG"),
        (["live/vmlinuz", "live/vmlinuz-old", "live/initrd.img", "live/initrd.img.bak"],
         "/live/vmlinuz", "/live/initrd.img"),
    ],
)  # fmt: skip
def test_the_scan(files: list[str], kernel: str, initrd: str) -> None:
    entry = find_boot_entry(volume_of(dict.fromkeys(files, "x"), label="A B/c"))
    assert (entry.kernel, entry.initrds, entry.origin) == (kernel, (initrd,), "scan")
    assert entry.arguments == (r"root=live:CDLABEL=A\x20B\x2fc", "rd.live.image")
    assert kernel in entry.reason


@pytest.mark.parametrize(
    "files", [{"vmlinuz": "k"}, {"a/vmlinuz": "k", "b/initrd": "i"}, {"vmlinuz": "k", "initrd": ""}]
)
def test_nothing_to_boot(files: Files) -> None:
    with pytest.raises(BootFileMissing, match=r"nothing to boot was found: no isolinux\.cfg"):
        find_boot_entry(volume_of(files))
    assert boot_entries(volume_of(files)) == ()


def test_no_label_no_scan() -> None:
    with pytest.raises(BootFileMissing, match="an ISO with a label"):
        find_boot_entry(volume_of(BOTH, label=""))


def test_a_name_that_grub_could_not_be_told() -> None:
    for name in ("bad\nname", "bad\udcff"):
        files = {f"isolinux/vmlinuz{name}": "k", "isolinux/initrd": "i"}
        options = ("-R", "-input-charset", "iso8859-1")
        with pytest.raises((IsoCorrupt, BootFileMissing)):
            find_boot_entry(volume_of(files, options=options))


@pytest.mark.parametrize(
    ("configuration", "words"),
    [
        ("x" * 70_000, r"/isolinux/isolinux.cfg: has 70000 bytes where at most 65536"),
        ("append " + "x " * 2049, "4097 characters of arguments"),
        ("label a\n" * 513, "more than 512 entries"),
        (ENTRY.replace("=initrd.img", "=" + ",".join(f"i{n}" for n in range(17))), "names 17 initrds"),
    ],
)
def test_configurations_out_of_bounds(configuration: str, words: str) -> None:
    with pytest.raises(IsoCorrupt, match=words):
        chosen(configuration)


WORDS = st.sampled_from(
    ["label", "kernel", "append", "initrd", "default", "ontimeout", "menu", "include", "begin", "end", "text", "help",
     "endtext", "vmlinuz", "initrd.img", "initrd=initrd.img", "a", "-", LIVE, "isolinux.cfg", ".c32", "/", "..", "\n",
     "\n", "\n", "\t", '"', "\\", "#", "\x00", "linux", "menuentry", "{", "}", "'", "$a", "set", "a=$a", "\udcff"]
)  # fmt: skip


@settings(max_examples=40, deadline=None)
@given(words=st.lists(WORDS, max_size=60))
def test_any_text_is_an_entry_or_an_image_error(words: list[str]) -> None:
    for path in ("isolinux/isolinux.cfg", "EFI/BOOT/grub.cfg"):
        volume = volume_of({**BOTH, path: " ".join(words)})
        try:
            entry = find_boot_entry(volume)
        except ImageError:
            continue
        assert volume.find(entry.kernel) is not None
        assert all(volume.find(path) is not None for path in entry.initrds)
        assert entry.initrds
        assert not any(word.startswith("initrd=") for word in entry.arguments)

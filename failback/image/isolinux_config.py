"""Reads ISOLINUX and SYSLINUX configuration (Syslinux documentation, syslinux.cfg) with its includes."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from failback.errors import IsoCorrupt

if TYPE_CHECKING:
    from collections.abc import Iterator

    from failback.image.iso import IsoFile, IsoVolume

# The largest known (a distribution's with all help texts) has 12 KiB; 32 files of 64 KiB are parsed in under 1 s.
MAX_CONFIG_BYTES = 64 * 1024
_MAX_FILES = 32
# An installer's menu has 30 entries; an entry has one initrd, or two with processor microcode.
_MAX_ENTRIES = 512
_MAX_INITRDS = 16
# A kernel for x86 takes 2,048 bytes (COMMAND_LINE_SIZE).
_MAX_ARGUMENTS = 4096
# What ISOLINUX runs by itself instead of a Linux kernel, by the end of the name.
_NOT_LINUX = (".c32", ".com", ".cbt", ".0", ".bin", ".bs", ".bss", ".img")
_NOT_LINUX_WORDS = frozenset({"boot", "bss", "pxe", "fdimage", "comboot", "com32", "config", "localboot"})
# The kernel takes blanks within double quotes as part of an argument.
_ARGUMENT = re.compile(r'(?:[^\s"]|"[^"]*"?)+')


@dataclass(frozen=True, slots=True)
class Stanza:
    """One entry as written: paths not yet looked up, relative ones to be tried in each of `folders`."""

    name: str
    kernel: str
    initrds: tuple[str, ...]
    arguments: tuple[str, ...]
    folders: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Config:
    """A configuration's Linux entries in order, and those it prefers: (entry, why) in order of preference."""

    path: str
    stanzas: tuple[Stanza, ...]
    preferred: tuple[tuple[Stanza, str], ...]


def read_config(volume: IsoVolume, file: IsoFile) -> Config:
    """Read one configuration; includes that are absent are passed over as ISOLINUX does; raises IsoCorrupt."""
    parser = _Parser(volume, file.path.rpartition("/")[0])
    parser.read(file, within=())
    return parser.config(file.path)


def read_text(volume: IsoVolume, file: IsoFile) -> list[str]:
    """Return a configuration's lines, whatever their ends; bytes that aren't UTF-8 are replaced."""
    text = volume.read_file(file, limit=MAX_CONFIG_BYTES).decode("utf-8-sig", errors="replace")
    return text.replace("\r", "\n").split("\n")


def split_arguments(text: str) -> tuple[str, ...]:
    """Split at blanks outside double quotes; nothing is unescaped; raises IsoCorrupt for what no kernel takes."""
    if len(text) > _MAX_ARGUMENTS:
        message = f"a boot entry has {len(text)} characters of arguments; the ISO is damaged, fetch it again"
        raise IsoCorrupt(message)
    return tuple(_ARGUMENT.findall(text))


def extract_initrds(words: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the files that `initrd=` arguments name, and the other arguments."""
    named = [name for word in words if word.startswith("initrd=") for name in word[7:].split(",") if name]
    return tuple(named), tuple(word for word in words if not word.startswith("initrd="))


def unique_initrds(names: tuple[str, ...]) -> tuple[str, ...]:
    """Drop repeated names; raises IsoCorrupt where there are more than any entry has."""
    unique = tuple(dict.fromkeys(names))
    if len(unique) > _MAX_INITRDS:
        message = f"a boot entry names {len(unique)} initrds; the ISO's boot configuration is damaged, fetch it again"
        raise IsoCorrupt(message)
    return unique


def check_entry_count(count: int) -> None:
    """Raises IsoCorrupt where a configuration has more entries than any real one."""
    if count > _MAX_ENTRIES:
        message = f"a boot configuration has more than {_MAX_ENTRIES} entries; the ISO is damaged, fetch it again"
        raise IsoCorrupt(message)


@dataclass(slots=True)
class _Label:
    name: str
    folder: str
    kernel: str = ""
    is_linux: bool = True
    initrds: list[str] = field(default_factory=list)
    words: tuple[str, ...] = ()
    append: tuple[str, ...] | None = None


class _Parser:
    def __init__(self, volume: IsoVolume, folder: str) -> None:
        self._volume, self._folder = volume, folder
        self._files = 0
        self._labels: list[_Label] = []
        self._label: _Label | None = None
        self._append: tuple[str, ...] = ()
        self._commands = {"ontimeout": "", "default": ""}
        self._menu_default: _Label | None = None
        self._menu_depth = 0

    def read(self, file: IsoFile, *, within: tuple[str, ...]) -> None:
        """Take one file's lines; `within` are the files that include it."""
        self._files += 1
        lines = iter(read_text(self._volume, file))
        for line in lines:
            keyword, rest = _split_keyword(line)
            if keyword == "menu":
                keyword, rest = _split_keyword(rest)
                keyword = f"menu {keyword}"
            if keyword in ("include", "menu include"):
                self._include(file, rest, (*within, file.path))
            elif keyword == "text":
                _skip_text(lines)
            else:
                self._take(keyword, rest, file.path.rpartition("/")[0])

    def config(self, path: str) -> Config:
        made = [(label, self._stanza(label)) for label in self._labels]
        stanzas = [stanza for _, stanza in made if stanza is not None]
        wanted = [
            (self._command(stanzas, self._commands["ontimeout"]), "it's what boots when nobody chooses (ONTIMEOUT)"),
            (next((s for label, s in made if label is self._menu_default), None), "it's the menu's default"),
            (self._command(stanzas, self._commands["default"]), "it's the default"),
        ]
        return Config(path, tuple(stanzas), tuple((stanza, why) for stanza, why in wanted if stanza is not None))

    def _include(self, file: IsoFile, rest: str, within: tuple[str, ...]) -> None:
        # ISOLINUX takes names from the first file's folder; some ISOs are written for the including file's.
        folders = (self._folder, file.path.rpartition("/")[0], "")
        name = rest.split()[0] if rest else ""
        found = find_named(self._volume, name, folders)
        if found is not None and found.path not in within and self._files < _MAX_FILES:
            self.read(found, within=within)

    def _take(self, keyword: str, rest: str, folder: str) -> None:
        if keyword == "label":
            self._label = _Label(rest, folder)
            self._labels.append(self._label)
            check_entry_count(len(self._labels))
        elif keyword in self._commands:
            self._commands[keyword] = rest
        elif keyword == "append" and self._label is None:
            self._append = split_arguments(rest)
        elif keyword in ("menu begin", "menu end"):
            self._label = None
            self._menu_depth += 1 if keyword == "menu begin" else -1
        elif keyword == "menu default" and self._label is not None:
            # A submenu's default counts only where the first menu has none.
            if self._menu_depth <= 0 or self._menu_default is None:
                self._menu_default = self._label
        elif self._label is not None:
            _describe(self._label, keyword, rest)

    def _stanza(self, label: _Label) -> Stanza | None:
        """Build the entry, or None for what isn't Linux; without KERNEL the label is the file's name."""
        if not label.is_linux:
            return None
        own = label.append if label.append is not None else self._append
        return self._build(label.name, label.kernel or label.name, label.words + own, label.folder, label.initrds)

    def _command(self, stanzas: list[Stanza], text: str) -> Stanza | None:
        """What a DEFAULT or ONTIMEOUT line starts: an entry with further arguments, or a kernel file by its name."""
        name, _, rest = text.replace("\t", " ").partition(" ")
        words = split_arguments(rest)
        found = next((stanza for stanza in stanzas if stanza.name in (text, name)), None)
        if found is not None and (not words or found.name == text):
            return found
        if found is not None:
            more, words = extract_initrds(words)
            initrds = unique_initrds((*found.initrds, *more))
            return Stanza(found.name, found.kernel, initrds, found.arguments + words, found.folders)
        if name.lower().endswith(_NOT_LINUX) or find_named(self._volume, name, (self._folder, "")) is None:
            return None
        return self._build(name, name, self._append + words, self._folder, [])

    def _build(self, name: str, kernel: str, words: tuple[str, ...], folder: str, initrds: list[str]) -> Stanza:
        more, arguments = extract_initrds(words)
        return Stanza(name, kernel, unique_initrds((*initrds, *more)), arguments, (self._folder, folder, ""))


def find_named(volume: IsoVolume, name: str, folders: tuple[str, ...]) -> IsoFile | None:
    """Return the file that a configuration names: from the root with a leading slash, else in the first folder."""
    paths = [name] if name.startswith("/") else [f"{folder}/{name}" for folder in folders]
    found = (volume.find(path) for path in paths) if name else iter(())
    return next((file for file in found if file is not None and not file.is_directory), None)


def _describe(label: _Label, keyword: str, rest: str) -> None:
    if keyword in ("kernel", "linux"):
        words = split_arguments(rest)
        label.kernel, label.words = (words[0], words[1:]) if words else ("", ())
        label.is_linux = keyword == "linux" or not label.kernel.lower().endswith(_NOT_LINUX)
    elif keyword in _NOT_LINUX_WORDS:
        label.is_linux = False
    elif keyword == "initrd":
        label.initrds = [name for name in rest.split(",") if name]
    elif keyword == "append":
        label.append = () if rest == "-" else split_arguments(rest)


def _split_keyword(line: str) -> tuple[str, str]:
    words = line.strip().split(None, 1)
    if not words or words[0].startswith("#"):
        return "", ""
    return words[0].lower(), words[1].strip() if len(words) > 1 else ""


def _skip_text(lines: Iterator[str]) -> None:
    for line in lines:
        if _split_keyword(line)[0] == "endtext":
            return

"""Reads the menu entries of a GRUB configuration: what an ISO without ISOLINUX configuration is booted by."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from failback.errors import IsoCorrupt
from failback.image.isolinux_config import (
    Config,
    Stanza,
    check_entry_count,
    extract_initrds,
    read_text,
    unique_initrds,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from failback.image.iso import IsoFile, IsoVolume

_LINUX = frozenset({"linux", "linuxefi", "linux16"})
_INITRD = frozenset({"initrd", "initrdefi", "initrd16"})
# The pieces of a word: 'verbatim', "with variables", \x20 (kept: it's meant for the kernel), an escape, anything else.
_PIECE = re.compile(r"""'([^']*)'|"((?:[^"\\]|\\.)*)"|(\\x[0-9A-Fa-f]{2})|\\(.)|([^\s'"\\]+)|(\s+)""")
_VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))")
_QUOTED_ESCAPE = re.compile(r'\\([$"\\])')
_DEVICE = re.compile(r"^\([^)]*\)")
# A kernel takes 2,048 bytes of arguments. Variables that hold each other must not grow without end, neither one
# word nor, at 64 KiB of text as written, all of them.
_MAX_WORD = 2048
_MAX_VARIABLES = 64
_MAX_WORDS = 1024 * 1024


def read_menu(volume: IsoVolume, file: IsoFile) -> Config:
    """Read one grub.cfg; conditions, functions and includes are passed over; raises IsoCorrupt."""
    reader = _Reader()
    for line in _joined(read_text(volume, file)):
        reader.take(line)
    stanzas = tuple(reader.stanzas())
    default = reader.variables.get("default", "")
    chosen = [stanza for number, stanza in enumerate(stanzas) if default in (str(number), stanza.name)]
    return Config(file.path, stanzas, tuple((stanza, "it's the default") for stanza in chosen[:1]))


class _Reader:
    def __init__(self) -> None:
        self.variables: dict[str, str] = {}
        self._entries: list[tuple[str, list[str], list[str]]] = []
        self._left = _MAX_WORDS

    def take(self, line: str) -> None:
        words = list(self._counted(_words(line, self.variables)))
        if not words or words[0].startswith("#"):
            return
        command, rest = words[0], words[1:]
        if command == "set" and rest:
            name, _, value = rest[0].partition("=")
            self.variables[name] = value
        elif command == "menuentry" and rest:
            self._entries.append((rest[0], [], []))
            check_entry_count(len(self._entries))
        elif command in _LINUX and self._entries:
            self._entries[-1][1].extend(rest)
        elif command in _INITRD and self._entries:
            self._entries[-1][2].extend(rest)

    def stanzas(self) -> Iterator[Stanza]:
        for name, linux, initrds in self._entries:
            if linux:
                more, arguments = extract_initrds(tuple(linux[1:]))
                files = unique_initrds(tuple(_DEVICE.sub("", path) for path in (*initrds, *more)))
                yield Stanza(name, _DEVICE.sub("", linux[0]), files, arguments, ("",))

    def _counted(self, words: Iterator[str]) -> Iterator[str]:
        for word in words:
            self._left -= len(word)
            if self._left < 0:
                message = f"grub.cfg has more than {_MAX_WORDS} characters with its variables; fetch the ISO again"
                raise IsoCorrupt(message)
            if word:
                yield word


def _joined(lines: list[str]) -> Iterator[str]:
    held = ""
    for line in lines:
        if line.endswith("\\"):
            held += line[:-1]
        else:
            yield held + line
            held = ""


def _words(line: str, variables: dict[str, str]) -> Iterator[str]:
    word = ""
    for single, double, hexadecimal, escaped, bare, blank in _PIECE.findall(line.strip()):
        if blank:
            yield word
            word = ""
            continue
        text = single + hexadecimal + escaped
        if double:
            text = _QUOTED_ESCAPE.sub(r"\1", _expanded(double, variables))
        elif bare:
            text = _expanded(bare, variables)
        word = (word + text)[:_MAX_WORD]
    yield word


def _expanded(text: str, variables: dict[str, str]) -> str:
    return _VARIABLE.sub(lambda match: variables.get(match[1] or match[2], ""), text, count=_MAX_VARIABLES)

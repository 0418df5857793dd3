"""How the client ISO starts its own start script, as far as its root file system tells.

Which of these ways the real ISO takes is unconfirmed (it's the client's affair and may change with any release), so
every known one is looked for here, and the agent guards at run time that exactly one instance runs. What starts the
script through a further script isn't found.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Literal

from failback.image.text_files import active_lines, matching, read_text, shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from failback.image.tree import FileTree

LauncherKind = Literal["unit", "autologin", "profile", "shell", "rc", "inittab", "upstart", "cron"]

_UNIT_DIRECTORIES = ("/etc/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system")
_UNIT_LIMIT = 2000  # a desktop system has 600
_USER_LIMIT = 200
_HOME_PROFILES = (".bash_profile", ".bash_login", ".profile", ".bashrc")
_COMMON_PROFILES = ("/etc/profile", "/etc/bashrc", "/etc/bash.bashrc")
_RC_FILES = ("/etc/rc.local", "/etc/rc.d/rc.local")
_CRON_DIRECTORIES = ("/etc/cron.d", "/var/spool/cron", "/var/spool/cron/crontabs")
_AUTOLOGIN = re.compile(r"(?:--autologin[ =]|getty\b.*\s-a\s+)([\w.-]+)")  # agetty(8), mingetty(8)


@dataclass(frozen=True, slots=True)
class Launcher:
    """One way that the script is started: the file that says so, and the line (for an autologin: the user)."""

    kind: LauncherKind
    path: str
    detail: str


@dataclass(frozen=True, slots=True)
class _User:
    name: str
    home: str
    shell: str


def find_launchers(tree: FileTree, script: str) -> tuple[Launcher, ...]:
    """All the ways in which `script`, an absolute path, is started by the system or by a login that needs nobody."""
    mention = _mention_pattern(script)
    users = list(_users(tree))
    units = list(_units(tree))
    upstart = [(entry.path, read_text(tree, entry.path)) for entry in matching(tree, "/etc/init", "*.conf")]
    inittab = [("/etc/inittab", read_text(tree, "/etc/inittab"))]
    profiles, runners = _profiles(tree, users, mention)
    logins = [
        login for login in _autologins([*units, *upstart, *inittab]) if login.detail in runners or None in runners
    ]
    rc = [(path, read_text(tree, path)) for path in _RC_FILES]
    return (
        *_mentions("unit", units, mention, r"ExecStart\w*\s*="),
        *logins,
        *profiles,
        *_mentions("rc", rc, mention),
        *_mentions("inittab", inittab, mention),
        *_mentions("upstart", upstart, mention),
        *_mentions("cron", _cron_tables(tree), mention, "@reboot"),
    )


def _mention_pattern(script: str) -> re.Pattern[str]:
    """Matches the path, its twin in a merged /usr, and the name that $PATH, the home or the directory leads to."""
    paths = {script, re.sub(r"^/usr(?=/s?bin/)", "", script)}
    path = "|".join(re.escape(path) for path in sorted(paths))
    name = re.escape(script.rsplit("/", 1)[-1])
    # A unit's command may have "-", "+" or "@" right before its path.
    return re.compile(rf"(?:(?<![\w./])(?:{path})|(?<![\w./$~{{}}-])(?:(?:\.|~|\$HOME|\${{HOME}})/)?{name})(?![\w/-])")


def _mentions(
    kind: LauncherKind, files: Iterable[tuple[str, str]], mention: re.Pattern[str], start: str = ""
) -> Iterator[Launcher]:
    for path, text in files:
        for line in active_lines(text, comment="#;" if kind == "unit" else "#"):
            if re.match(start, line) and mention.search(line):
                yield Launcher(kind, shown(path), shown(line))


def _units(tree: FileTree) -> Iterator[tuple[str, str]]:
    """Service units and their drop-ins, each once however many links lead to it."""
    seen: set[str] = set()
    for path in islice(_unit_paths(tree), _UNIT_LIMIT):
        entry = tree.find(path)
        if entry is not None and entry.kind == "file" and entry.path not in seen:
            seen.add(entry.path)
            yield path, read_text(tree, entry.path)


def _unit_paths(tree: FileTree) -> Iterator[str]:
    for directory in _UNIT_DIRECTORIES:
        for entry in matching(tree, directory, "*.service*"):
            if entry.kind != "directory":
                yield entry.path
            elif entry.path.endswith(".d"):
                yield from (drop_in.path for drop_in in matching(tree, entry.path, "*.conf"))


def _autologins(files: Iterable[tuple[str, str]]) -> Iterator[Launcher]:
    for path, text in files:
        for line in active_lines(text):
            if found := _AUTOLOGIN.search(line):
                yield Launcher("autologin", shown(path), shown(found[1]))


def _users(tree: FileTree) -> Iterator[_User]:
    for line in islice(active_lines(read_text(tree, "/etc/passwd")), _USER_LIMIT):
        fields = line.split(":")
        if len(fields) >= 7:
            yield _User(fields[0], fields[5], fields[6])


def _profiles(tree: FileTree, users: list[_User], mention: re.Pattern[str]) -> tuple[list[Launcher], set[str | None]]:
    """What a login runs, and for whom it does: names of users, None for everyone."""
    common = [*_COMMON_PROFILES, *(entry.path for entry in matching(tree, "/etc/profile.d", "*.sh"))]
    found = list(_mentions("profile", ((path, read_text(tree, path)) for path in common), mention))
    runners: set[str | None] = {None} if found else set()
    homes = {(user.name, user.home) for user in users if user.home.startswith("/")} | {("root", "/root")}
    for name, home in sorted(homes):
        texts = ((f"{home.rstrip('/')}/{profile}", read_text(tree, f"{home}/{profile}")) for profile in _HOME_PROFILES)
        mentions = list(_mentions("profile", texts, mention))
        runners |= {name} if mentions else set()
        found += mentions
    shells = [user for user in users if mention.search(user.shell)]
    found += [Launcher("shell", "/etc/passwd", shown(f"{user.name}: {user.shell}")) for user in shells]
    return found, runners | {user.name for user in shells}


def _cron_tables(tree: FileTree) -> Iterator[tuple[str, str]]:
    yield "/etc/crontab", read_text(tree, "/etc/crontab")
    for directory in _CRON_DIRECTORIES:
        for entry in matching(tree, directory, "*"):
            yield entry.path, read_text(tree, entry.path)

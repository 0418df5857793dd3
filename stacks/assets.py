"""Each function's package as a plain folder, build/assets/<function>-<digest>: what it can reach and nothing else.

`python -m stacks.assets --table` says how large the packages are, how long they take to import, and in how much memory.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
import tempfile
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from failback.contracts import StageContract, read_contracts
from failback.errors import PackageIncomplete
from failback.image.grub import BOOT_FILE, CORE_FILE, EFI_FILE, VERSION_FILE, load_grub
from stacks.compute_parts import names_in
from stacks.imports import Reached, reachable
from stacks.wheels import Wheels, WheelSet, compile_all, install

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

ROOT = Path(__file__).resolve().parents[1]

AWS_LIMIT = 60 * 10**6
HOME_LIMIT = 110 * 10**6
"""Bytes that a package may have, unpacked. Lambda takes 250 MiB; what is larger than these takes longer to start."""

GRUB = "grub"
GRUB_STAGES = frozenset({"find_client_image", "build_image"})
"""The stages that make, or name by its content, a disk that GRUB starts."""

_RULES = 1
"""Goes up when the same inputs would give another folder."""
_REQUIREMENTS = "requirements.txt"
_NOT_SHIPPED = frozenset({_REQUIREMENTS, "stage.json", "example.json"})
_KEPT_BEFORE = 2
"""Folders of a function's last versions that stay: their files are mostly links to the same wheels."""


_MODELS = {"states": "stepfunctions"}
"""Services whose models botocore keeps under another name than IAM's actions have."""


@dataclass(frozen=True, slots=True)
class Function:
    """One function: a stage or a door; at stages that work at home, which home's."""

    stage: str
    contract: StageContract = field(compare=False)
    home: str | None = None
    part: Literal["stages", "doors"] = "stages"

    @property
    def name(self) -> str:
        """Its name after the deployment's own."""
        return "-".join([self.stage.replace("_", "-"), *([self.home] if self.home else [])])

    @property
    def handler(self) -> str:
        """Its handler, as Lambda calls it by."""
        return f"lambdas.{self.part}.{self.stage}.handler.handler"

    @property
    def services(self) -> frozenset[str]:
        """The AWS services that it may call, as botocore names them."""
        named = (action.partition(":")[0] for actions in self.contract.allow.values() for action in actions)
        return frozenset(_MODELS.get(name, name) for name in named)

    @property
    def limit(self) -> int:
        """Bytes that its package may have."""
        return HOME_LIMIT if self.home else AWS_LIMIT


@dataclass(frozen=True, slots=True)
class Asset:
    """A function's package: its folder, and the hash of everything it's made from."""

    folder: Path
    digest: str


@dataclass(frozen=True)
class Workshop:
    """Where packages are made from (`root`, a checkout) and where they go (`build`), for which Python."""

    root: Path
    build: Path
    python: str

    @cached_property
    def contracts(self) -> Mapping[str, StageContract]:
        """The contracts of the stages that have a handler."""
        return read_contracts(self.root / "lambdas" / "stages")

    @cached_property
    def doors(self) -> Sequence[Function]:
        """The functions by which people and services come in: all of AWS's side."""
        contracts = read_contracts(self.root / "lambdas" / "doors")
        return [Function(door, contract, part="doors") for door, contract in contracts.items()]

    def functions(self, homes: Iterable[str]) -> Sequence[Function]:
        """All functions of a deployment with these homes; raises PackageIncomplete where a home has no adapter."""
        enabled = [self._checked(home) for home in homes]
        stages = [
            Function(stage, contract, home)
            for stage, contract in self.contracts.items()
            for home in (enabled if contract.side == "home" else [None])
        ]
        return [*stages, *self.doors]

    def reached(self, function: Function) -> Reached:
        """The modules that a function reaches; its home's adapter wholly, since that is imported by a computed name."""
        adapter = self._home(function.home).rglob("*.py") if function.home else ()
        modules = [".".join(path.relative_to(self.root).with_suffix("").parts) for path in adapter]
        named = [name.removesuffix(".__init__") for name in modules]
        return reachable(self.root, [function.handler.rpartition(".")[0], "lambdas.connections", *named])

    def wheel_set(self, function: Function) -> WheelSet:
        """The requirements of a function, AWS's and its home's, and what of the large libraries is used."""
        homes = [self._home(function.home)] if function.home else []
        files = tuple(folder / _REQUIREMENTS for folder in (self._home("aws"), *homes))
        stages = [Function(stage, contract) for stage, contract in self.contracts.items()]
        services = [each.services for each in (*stages, *self.doors)]
        adapter = (path for home in homes for path in sorted(home.rglob("*.py")))
        compute = names_in(path.read_text(encoding="utf-8") for path in adapter)
        return WheelSet(files, self.root / "constraints.txt", self.python, frozenset().union(*services), compute)

    def make(self, function: Function) -> Asset:
        """The function's package, made only if one of its inputs has changed; raises PackageIncomplete."""
        wheels, sources = install(self.wheel_set(function), self.build / "wheels"), self._sources(function)
        digest = _digest(sources, [_RULES, self.python, wheels.digest])
        place = self.build / "assets" / f"{function.name}-{digest[:16]}"
        if not place.is_dir():
            place.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=place.parent, prefix="staging-") as half:
                folder = Path(half) / "package"
                self._lay_out(folder, wheels, sources)
                _settle(folder, place)
            _drop_older(place, function.name)
        return Asset(place, digest)

    def _lay_out(self, folder: Path, wheels: Wheels, sources: Mapping[str, Path]) -> None:
        shutil.copytree(wheels.folder, folder, copy_function=_link)
        for name, source in sources.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, folder / name)
        compile_all(folder, self.python, *sorted({Path(name).parts[0] for name in sources} - {GRUB}))

    def _sources(self, function: Function) -> dict[str, Path]:
        """Our own files by their place in the package: modules, their packages' other files, GRUB's images."""
        modules = self.reached(function).files.values()
        folders = {path.parent for path in modules}
        data = [path for folder in folders for path in folder.iterdir() if path.is_file() and path.suffix != ".py"]
        shipped = [*modules, *(path for path in data if path.name not in _NOT_SHIPPED and path.name[0] != ".")]
        files = {str(path.relative_to(self.root)): path for path in shipped}
        if function.stage in GRUB_STAGES:
            load_grub(self.build / GRUB)
            images = (BOOT_FILE, CORE_FILE, EFI_FILE, VERSION_FILE)
            files |= {f"{GRUB}/{name}": self.build / GRUB / name for name in images}
        return dict(sorted(files.items()))

    def _home(self, home: str) -> Path:
        return self.root / "failback" / "clouds" / home

    def _checked(self, home: str) -> str:
        if not (self._home(home) / "connection.py").is_file():
            message = f"targets: {home} has no adapter: there's no failback/clouds/{home}/connection.py"
            raise PackageIncomplete(message)
        return home


def _digest(sources: Mapping[str, Path], rest: Sequence[object]) -> str:
    hashes = {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in sources.items()}
    return hashlib.sha256(json.dumps([*rest, hashes]).encode()).hexdigest()


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        # Another file system, or one without links.
        shutil.copyfile(source, target)


def _settle(folder: Path, place: Path) -> None:
    try:
        folder.rename(place)
    except OSError:
        # Another process made the same package meanwhile.
        if not place.is_dir():
            raise


def _drop_older(place: Path, name: str) -> None:
    digits = "[0-9a-f]" * 16
    versions = sorted(place.parent.glob(f"{name}-{digits}"), key=lambda path: path.stat().st_ctime, reverse=True)
    for folder in [path for path in versions if path != place][_KEPT_BEFORE:]:
        shutil.rmtree(folder, ignore_errors=True)


def main() -> None:
    """Make all packages of the deployment that is at hand; with --table, measure them."""
    from stacks.package_table import table_of
    from stacks.settings import read_deployment

    deployment = read_deployment(ROOT)
    workshop = Workshop(ROOT, ROOT / "build", deployment.python)
    functions = workshop.functions(deployment.homes)
    assets = [workshop.make(function) for function in functions]
    if "--table" in sys.argv[1:]:
        print(table_of(workshop, list(zip(functions, assets, strict=True))))


if __name__ == "__main__":
    main()

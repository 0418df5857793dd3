"""A small checkout to make packages from, and the real one's template, synthesised once."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from failback.image.grub import BOOT_FILE, CORE_FILE, EFI_FILE, VERSION_FILE
from failback.model.deployment import DEFAULT_PYTHON, Deployment, parse_deployment
from stacks.assets import Workshop
from stacks.synthesis import synthesise

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT = Path(__file__).resolve().parents[2]
CONTRACT: dict[str, object] = {
    "summary": "Does what it's there for",
    "memory_mib": 512,
    "timeout_seconds": 30,
    "deadline_minutes": 5,
    "allow": {"run_log": ["dynamodb:GetItem"], "image_bucket": ["s3:GetObject"]},
}
FILES = {
    "failback/__init__.py": "",
    "failback/naming.py": "NAME = 'x'\n",
    "failback/unused.py": "import nothing_of_the_kind\n",
    "failback/late.py": "",
    "failback/data/__init__.py": "",
    "failback/data/rules.sh": "exit 0\n",
    "failback/data/.rules.sh.swp": "",
    "failback/clouds/__init__.py": "",
    "failback/clouds/aws/__init__.py": "",
    "failback/clouds/aws/requirements.txt": "boto3\n",
    "failback/clouds/azure/__init__.py": "",
    "failback/clouds/azure/requirements.txt": "azure-identity\n",
    "failback/clouds/azure/connection.py": "from failback.clouds.azure import disks\n",
    "failback/clouds/azure/disks.py": "",
    "failback/clouds/azure/never_named.py": "",
    "failback/clouds/google/__init__.py": "",
    "lambdas/__init__.py": "",
    "lambdas/connections.py": "from failback import naming\n",
    "lambdas/stages/__init__.py": "",
    "lambdas/stages/build_image/__init__.py": "",
    "lambdas/stages/build_image/handler.py": "def handler():\n  from failback.late import x\n  import failback.data\n",
    "lambdas/stages/build_image/stage.json": json.dumps({**CONTRACT, "side": "aws"}),
    "lambdas/stages/import_image/__init__.py": "",
    "lambdas/stages/import_image/handler.py": "import lambdas.connections\n",
    "lambdas/stages/import_image/stage.json": json.dumps({**CONTRACT, "side": "home"}),
    "lambdas/doors/__init__.py": "",
    "lambdas/doors/watch/__init__.py": "",
    "lambdas/doors/watch/handler.py": "import lambdas.connections\n",
    "lambdas/doors/watch/stage.json": json.dumps(
        {**CONTRACT, "side": "aws", "allow": {"task_tokens": ["states:SendTaskSuccess"]}}
    ),
    "constraints.txt": "boto3==1\n",
}


@dataclass(frozen=True)
class Checkout:
    """A small checkout, and wheels that are said to be installed already."""

    root: Path

    def write(self, name: str, text: str) -> None:
        """Write a file of it."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    @property
    def workshop(self) -> Workshop:
        """A fresh workshop in it."""
        return Workshop(self.root, self.root / "build", DEFAULT_PYTHON)

    def pretend_wheels(self) -> Workshop:
        """A workshop whose wheels needn't be installed."""
        workshop = self.workshop
        for function in workshop.functions(["azure"]):
            wanted = workshop.wheel_set(function)
            self.write(f"build/wheels/{wanted.key}/a_package/__init__.py", f"FOR = {function.home!r}\n")
            self.write(f"build/wheels/{wanted.key}.digest", f"digest of {len(wanted.files)}")
        return workshop


def check_out(root: Path) -> Checkout:
    """Make one."""
    made = Checkout(root)
    for name, text in FILES.items():
        made.write(name, text)
    for name, size in ((BOOT_FILE, 512), (CORE_FILE, 1024), (EFI_FILE, 10), (VERSION_FILE, 1)):
        made.write(f"build/grub/{name}", "g" * size)
    return made


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return check_out(tmp_path / "checkout")


@dataclass(frozen=True)
class Synthesis:
    """A synthesised deployment."""

    deployment: Deployment
    workshop: Workshop
    path: Path
    template: Mapping[str, Any]

    def resources(self, kind: str) -> dict[str, dict[str, Any]]:
        """The properties of all resources of a type, by logical id."""
        found = self.template["Resources"].items()
        return {name: each["Properties"] for name, each in found if each["Type"] == f"AWS::{kind}"}


@pytest.fixture(scope="session")
def synthesis(tmp_path_factory: pytest.TempPathFactory) -> Synthesis:
    """The example deployment, of the real checkout and by its own wheels."""
    deployment = parse_deployment((ROOT / "deployment.example.json").read_bytes())
    workshop = Workshop(ROOT, ROOT / "build", deployment.python)
    path = synthesise(deployment, workshop, tmp_path_factory.mktemp("cdk"))
    return Synthesis(deployment, workshop, path, json.loads(path.read_text(encoding="utf-8")))

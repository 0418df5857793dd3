"""The key of a client image: what names it by its content, before it's made.

Everything that decides an image's bytes is in the key: the ISO, GRUB, the options, the agent's files, and this program
as far as it lays the disk out, which is what the recipe's number stands for.
"""

from __future__ import annotations

import hashlib
import json
from importlib.resources import files
from typing import TYPE_CHECKING

from failback.naming import KEY_LENGTH

if TYPE_CHECKING:
    from failback.image.compose import BuildOptions
    from failback.image.grub import GrubImages

RECIPE = 2
"""Raise it with every change of the program that changes an image's bytes: images made before are made anew then."""

GOLDEN = "129bddca89a4ca8e136fe2627a4cb3e6c9a474e2c6f578a1ec898d563e5298c2"
"""SHA-256 of what stands around the ISO in the image of a small synthetic one, as this recipe makes it."""


def image_key(iso_sha512: str, grub: GrubImages, options: BuildOptions) -> str:
    """The key of the image of that ISO: 20 hexadecimal digits, the same on every machine."""
    ingredients = {
        "recipe": RECIPE,
        "iso": iso_sha512.lower(),
        "grub": grub.digest,
        "clouds": list(options.clouds),
        "to_ram": options.to_ram,
        "client_start": options.client_start,
        "agent": agent_digest(),
    }
    return _key(json.dumps(ingredients, sort_keys=True))


def ami_key(snapshot: str) -> str:
    """The key of a customer's own AMI: of the snapshot that it boots from, whose content never changes."""
    return _key(f"ami {snapshot}")


def agent_digest() -> str:
    """SHA-256 over the names and contents of the agent's files, in hexadecimal."""
    digest = hashlib.sha256()
    package = files("failback.image.agent")
    for name in sorted(each.name for each in package.iterdir() if each.is_file() and not _is_python(each.name)):
        content = package.joinpath(name).read_bytes()
        digest.update(f"{name}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()


def _is_python(name: str) -> bool:
    """Modules may be shipped compiled only; what they put on the disk, the recipe's number stands for."""
    return name.endswith((".py", ".pyc"))


def _key(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:KEY_LENGTH]

"""The key of an image: everything that decides its bytes is in it, and the recipe's number is raised with the bytes."""

from __future__ import annotations

import hashlib
import re
from dataclasses import replace
from typing import TYPE_CHECKING, cast

from failback.image.client import read_client
from failback.image.compose import BuildOptions, plan_image
from failback.image.iso import IsoVolume
from failback.image.layout import iso_extent
from failback.image.plan import MIB
from failback.image.source import FileSource
from failback.recipe import GOLDEN, RECIPE, agent_digest, ami_key, image_key

if TYPE_CHECKING:
    from pathlib import Path

    from failback.image.grub import GrubImages

SHA512 = "a" * 128
OPTIONS = BuildOptions(clouds=("azure", "aws"))


class SyntheticIso:
    """The size and the volume descriptor of an ISO that's the same on every day and with every version of xorriso."""

    size = 64 * MIB
    label, created = "DRSFAILBACK", "2026-01-01"

    def read(self, offset: int, length: int) -> bytes:
        return hashlib.shake_256(b"a volume descriptor").digest(length)


def digest_around_the_iso(iso: Path, grub: GrubImages) -> str:
    """SHA-256 of what stands around the ISO, which itself is there verbatim."""
    synthetic = SyntheticIso()
    with FileSource(iso) as source:
        client = read_client(IsoVolume.open(source))
        client = replace(client, volume=cast("IsoVolume", synthetic))
        plan = plan_image(synthetic, client, grub, BuildOptions()).layout.plan
    digest = hashlib.sha256(str(plan.size).encode())
    for part in plan.without(iso_extent(synthetic.size)).extents:
        digest.update(f"{part.offset} {part.length}\0".encode() + part.read(synthetic, 0, part.length))
    return digest.hexdigest()


def test_the_recipe_is_raised_with_the_bytes(whole_iso: Path, grub: GrubImages) -> None:
    found = digest_around_the_iso(whole_iso, grub)
    assert found == GOLDEN, (
        f"an image's bytes have changed: raise RECIPE in failback/recipe.py above {RECIPE}, so that images made before "
        f"are made anew, and set GOLDEN to {found}"
    )


def test_everything_that_decides_the_bytes_is_in_the_key(grub: GrubImages) -> None:
    key = image_key(SHA512, grub, OPTIONS)
    assert re.fullmatch(r"[0-9a-f]{20}", key)
    assert image_key(SHA512.upper(), grub, OPTIONS) == key
    others = {
        image_key("b" * 128, grub, OPTIONS),
        image_key(SHA512, replace(grub, core=b"another core"), OPTIONS),
        *(
            image_key(SHA512, grub, options)
            for options in (
                replace(OPTIONS, clouds=("azure",)),
                replace(OPTIONS, to_ram=True),
                replace(OPTIONS, client_start="/x"),
            )
        ),
    }
    assert len(others | {key}) == 6


def test_the_agents_files_are_in_the_key() -> None:
    assert re.fullmatch(r"[0-9a-f]{64}", agent_digest())


def test_an_own_image_is_known_by_its_snapshot() -> None:
    assert re.fullmatch(r"[0-9a-f]{20}", ami_key("snap-1"))
    assert ami_key("snap-1") != ami_key("snap-2")

"""What was checked of an object in the image bucket, written beside it once all of it was there."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from pydantic import ValidationError

from failback.errors import ObjectMissing
from failback.model.run import ExportedImage, StoredIso

if TYPE_CHECKING:
    from failback.ports import ObjectStore

T = TypeVar("T", StoredIso, ExportedImage)


def proven(objects: ObjectStore, key: str, proof_key: str, proof_of: type[T]) -> T | None:
    """What the proof says of the object with that key; None where either isn't there, or they don't fit."""
    proof = objects.find(proof_key)
    found = objects.find(key) if proof else None
    if proof is None or found is None:
        return None
    try:
        said = proof_of.model_validate_json(objects.read(proof.key, 0, proof.size))
    except (ValidationError, ObjectMissing):
        # Not as this version writes it, or removed since the look by a run that's given back: it's made anew.
        return None
    return said if (said.key, said.size) == (found.key, found.size) else None

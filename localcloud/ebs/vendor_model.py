"""A service as its vendor describes it: operations and shapes from botocore's model files, read as plain JSON.

Source: `service-2.json` in botocore's data folder (keys `operations`, `shapes`, `metadata`).
"""

from __future__ import annotations

import gzip
import json
import re
from importlib import resources
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Shape = dict[str, Any]


class VendorModel:
    """One version of one service, e.g. `VendorModel("ebs", "2019-11-02")`.

    With `slashes` what stands in a path may hold some: an ARN does, and reaches us decoded.
    """

    def __init__(self, service: str, version: str, *, slashes: bool = False) -> None:
        packed = resources.files("botocore").joinpath("data", service, version, "service-2.json.gz").read_bytes()
        document = json.loads(gzip.decompress(packed))
        self._operations: dict[str, Shape] = document["operations"]
        self._shapes: dict[str, Shape] = document["shapes"]
        self._routes = [
            (name, operation["http"]["method"], _pattern(operation["http"]["requestUri"], ".+" if slashes else "[^/]+"))
            for name, operation in self._operations.items()
        ]

    @property
    def operations(self) -> Mapping[str, Shape]:
        """By name: `http` (method, requestUri, responseCode), `input`, `output`, `errors`."""
        return self._operations

    def operation_of(self, method: str, path: str) -> tuple[str, Mapping[str, str]] | None:
        """The operation that a request by REST is for, and what stands in its path; None for none."""
        for name, verb, pattern in self._routes:
            found = pattern.fullmatch(path)
            if verb == method and found:
                return name, {key: unquote(value) for key, value in found.groupdict().items()}
        return None

    def resolve(self, reference: Mapping[str, Any]) -> Shape:
        """The shape that a reference names, with the reference's own traits (its name on the wire) laid over it."""
        return {**self._shapes[reference["shape"]], **reference}

    def input_of(self, operation: str) -> Shape:
        """The structure of what the operation takes."""
        return self.resolve(self._operations[operation]["input"])

    def output_of(self, operation: str) -> Shape:
        """The structure of what the operation answers; empty where it answers nothing."""
        reference = self._operations[operation].get("output")
        return self.resolve(reference) if reference else {"type": "structure", "members": {}}

    def members(self, structure: Mapping[str, Any]) -> Iterator[tuple[str, Shape]]:
        """Names and shapes of a structure's members."""
        for name, reference in structure["members"].items():
            yield name, self.resolve(reference)

    def error(self, name: str) -> Shape:
        """The structure of an error; its HTTP status is `["error"]["httpStatusCode"]`."""
        return self._shapes[name]


def _pattern(uri: str, label: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\\{(\w+)\\}", lambda found: f"(?P<{found[1]}>{label})", re.escape(uri)))

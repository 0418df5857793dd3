"""The embedded Cloud Storage behind the embedded identity, and real and plain clients of it."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

import pytest
import requests
from google.oauth2 import credentials

from localcloud.azure.clock import VirtualClock
from localcloud.google_identity.service import GoogleIdentity
from localcloud.google_identity.settings import Grant, IdentitySettings
from localcloud.google_storage.service import StorageService

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# The SDK has no types of its own.
Dynamic = Any
storage: Dynamic = import_module("google.cloud.storage")
Credentials: Dynamic = credentials.Credentials

PROJECT, BUCKET = "home", "images-1"
ADMIN, READER, WRITER = "user:admin@home.test", "user:reader@home.test", "user:writer@home.test"
SETTINGS = IdentitySettings(
    grants=(
        Grant(ADMIN, "roles/storage.admin", f"projects/{PROJECT}"),
        Grant(READER, "roles/storage.objectViewer", f"projects/_/buckets/{BUCKET}"),
        Grant(WRITER, "roles/storage.objectCreator", f"projects/_/buckets/{BUCKET}"),
    )
)


@dataclass
class Storage:
    """One running service."""

    url: str
    identity: GoogleIdentity
    clock: VirtualClock
    folder: Path
    service: StorageService

    def client(self, principal: str = ADMIN) -> Dynamic:
        """The SDK's client of a principal."""
        given = Credentials(token=self.identity.give_token(principal))
        return storage.Client(project=PROJECT, credentials=given, client_options={"api_endpoint": self.url})

    def call(self, method: str, path: str, *, principal: str | None = ADMIN, **options: Dynamic) -> requests.Response:
        """A plain request; a path may be a whole URL."""
        headers = dict(options.pop("headers", {}))
        if principal is not None:
            headers.setdefault("Authorization", f"Bearer {self.identity.give_token(principal)}")
        url = path if path.startswith("http") else self.url + path
        return requests.request(method, url, headers=headers, timeout=20, **options)

    def start(self, name: str, query: str = "", **options: Dynamic) -> str:
        """A new resumable upload's address."""
        path = f"/upload/storage/v1/b/{BUCKET}/o?uploadType=resumable&name={name}{query}"
        answer = self.call("POST", path, **options)
        assert answer.status_code == 200, answer.text
        return answer.headers["Location"]

    def put(self, address: str, span: str, data: bytes = b"", **headers: str) -> requests.Response:
        """A chunk, or with no data a question, by somebody who only knows the address."""
        heads = {"Content-Range": f"bytes {span}", **headers}
        return self.call("PUT", address, principal=None, data=data, headers=heads)

    def document(self, name: str) -> Dynamic:
        """An object's document."""
        return self.call("GET", f"/storage/v1/b/{BUCKET}/o/{name}").json()

    def reason(self, answer: requests.Response) -> tuple[int, str]:
        """Status and reason of a refusal in Google's shape."""
        error = answer.json()["error"]
        assert error["code"] == answer.status_code
        assert set(error["errors"][0]) >= {"domain", "reason", "message"}
        return answer.status_code, error["errors"][0]["reason"]


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Storage]:
    clock = VirtualClock()
    identity = GoogleIdentity(SETTINGS, clock=clock)
    service = StorageService(tmp_path / "storage", gate=identity, projects={PROJECT: "4711"}, clock=clock)
    service.add_bucket(BUCKET, project=PROJECT, location="europe-west3")
    with service.serve() as url:
        yield Storage(url, identity, clock, tmp_path / "storage", service)

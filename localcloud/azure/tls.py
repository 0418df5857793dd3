"""The private certificate authority of the embedded Azure; clients trust it by one file, as REQUESTS_CA_BUNDLE."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    import trustme

CA_FILE = "ca.pem"


def server_context(authority: trustme.CA, *names: str) -> ssl.SSLContext:
    """A server's side of TLS with a fresh certificate for `names`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names).configure_cert(context)
    return context


def write_ca_file(authority: trustme.CA, folder: Path) -> Path:
    """Write the CA's certificate (never its key) into the folder and give the file."""
    path = folder / CA_FILE
    path.write_bytes(authority.cert_pem.bytes())
    return path

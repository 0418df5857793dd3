"""The network that client machines see: STS and DRS at link-local addresses, and port 1500 of recovery instances.

A guest has no other way out. STS judges by the trust policies of the roles that are deployed.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from localcloud.azure.cloud import TENANT
from localcloud.drs.keys import keys_of_sessions
from localcloud.guests.surroundings import (
    DRS_ENDPOINT,
    STS_ADDRESS,
    drs_forward,
    recovery_forward,
    sts_forward,
)
from localcloud.metadata_azure import issuer
from localcloud.metadata_google import ISSUER as GOOGLE_ISSUER
from localcloud.sts import SecurityTokenService
from localcloud.sts_sessions import GivenSessions
from localcloud.sts_trust import DeployedTrusts
from localcloud.tokens import TokenSigner

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from localcloud.azure.driver import MachineSpec
    from localcloud.drs.service import DrsService
    from localcloud.embedded.clouds import Client
    from localcloud.machines.spec import Forward


class GuestNetwork:
    """What a driver takes as its `surroundings`, and its `signer`; nothing is reached before it's opened.

    `tenant` is whose tokens machines have in Azure.
    """

    def __init__(self, *, tenant: str = TENANT) -> None:
        self.signer = TokenSigner()
        self.sessions = GivenSessions()
        self._iam: Callable[[], Client] | None = None
        self._forwards: Callable[[], Sequence[Forward]] = tuple
        self.trusts = DeployedTrusts(self._opened)
        self.sts = SecurityTokenService(
            issuers={each: self.signer.public_key for each in (issuer(tenant), GOOGLE_ISSUER)},
            names=(STS_ADDRESS,),
            trusts=self.trusts,
            given=self.sessions,
        )

    def _opened(self) -> Client:
        assert self._iam is not None, "nobody can ask before it's opened"
        return self._iam()

    def surroundings(self, _spec: MachineSpec) -> Sequence[Forward]:
        """What a machine that starts now reaches."""
        return self._forwards()

    @contextmanager
    def open(
        self, drs: DrsService, *, drs_url: str, replication_port: int, iam: Callable[[], Client]
    ) -> Iterator[None]:
        """Serve what guests reach for the length of a `with` block; `iam` gives a client of IAM."""
        self._iam = iam
        drs.keys.add(keys_of_sessions(self.sessions))
        with self.sts.serve() as sts_url:

            def forwards() -> Sequence[Forward]:
                places = [
                    place for each in drs.world.instances for place in (each.private_address, each.public_address)
                ]
                reached = [recovery_forward(place, to_port=replication_port) for place in places if place]
                return (sts_forward(sts_url), drs_forward(drs_url), *reached)

            self._forwards = forwards
            try:
                yield
            finally:
                self._forwards = tuple

    @property
    def variables(self) -> Mapping[str, str]:
        """What functions are told of it, for client machines' settings."""
        return {
            "FAILBACK_CLIENT_STS": f"https://{STS_ADDRESS}/",
            "FAILBACK_CLIENT_DRS": DRS_ENDPOINT,
            "FAILBACK_CLIENT_CERTIFICATES": self.sts.ca_certificates,
        }

"""SSM documents in memory."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from failback.errors import CloudRefused

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Status = Literal["pending", "done", "failed"]


@dataclass
class Command:
    """A command that was sent."""

    id: str
    instance: str
    document: str
    parameters: Mapping[str, Sequence[str]]
    token: str
    minutes: int
    status: Status
    said: str = ""


@dataclass
class MemoryDocuments:
    """Documents; what's sent is at once what `status` and `said` say. Documents of `unknown` are refused."""

    status: Status = "done"
    said: str = ""
    unknown: frozenset[str] = frozenset()
    sent: list[Command] = field(default_factory=list)

    def run(
        self, instance: str, document: str, parameters: Mapping[str, Sequence[str]], *, token: str, minutes: int
    ) -> str:
        for command in self.sent:
            if (command.instance, command.token) == (instance, token):
                return command.id
        if document in self.unknown:
            raise CloudRefused(document)
        name = f"00000000-0000-4000-8000-{len(self.sent) + 1:012x}"
        given = {key: tuple(values) for key, values in parameters.items()}
        self.sent.append(Command(name, instance, document, given, token, minutes, self.status, self.said))
        return name

    def begun(self, instance: str, *, token: str) -> Sequence[str]:
        return [each.id for each in self.sent if each.instance == instance and each.token.startswith(token)]

    def outcome(self, instance: str, command: str) -> tuple[Status, str]:
        for each in self.sent:
            if (each.instance, each.id) == (instance, command):
                return each.status, each.said
        return "pending", ""

    def settle(self, command: str, status: Status, said: str = "") -> None:
        """Let one come to that."""
        for each in self.sent:
            if each.id == command:
                each.status, each.said = status, said

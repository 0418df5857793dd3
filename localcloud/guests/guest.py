"""A started machine: its metadata service, its serial console in a file, and a thread that is its life."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from itertools import count
from typing import TYPE_CHECKING, Self

from failback.errors import MachineError
from localcloud.guests.home_machine import boot_refusal, metadata_document
from localcloud.metadata import MetadataService
from localcloud.tokens import TokenSigner

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from localcloud.guests.home_machine import MachineSpec
    from localcloud.machines.spec import Forward
    from localcloud.metadata import RecordedRequest

    Surroundings = Callable[[MachineSpec], Sequence[Forward]]


class Guest:
    """One start of a machine; `live` is run in a thread of its own and returns when the machine is off.

    `console_file` takes what the guest itself writes; what is said of it comes before that. `agent` is what the cloud's
    agent in it reports of itself (`Ready`), None where it says nothing.
    """

    def __init__(
        self, spec: MachineSpec, folder: Path, *, signer: TokenSigner, live: Callable[[Guest, str], None]
    ) -> None:
        self.spec, self.folder = spec, folder
        self.stopping = threading.Event()
        self.agent: str | None = None
        self.console_file = folder / "console.log"
        self._words = folder / "words.log"
        self._live = live
        self._service = MetadataService(metadata_document(spec), signer=signer)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"machine {spec.name}", daemon=True)

    @property
    def is_running(self) -> bool:
        """Whether it's on."""
        return not self._ended.is_set()

    @property
    def requests(self) -> tuple[RecordedRequest, ...]:
        """What its metadata service was asked."""
        return tuple(self._service.requests)

    def start(self) -> None:
        """Switch on."""
        self.folder.mkdir(parents=True)
        self._thread.start()

    def console(self) -> bytes:
        """What it has written to its serial port, also after it has ended."""
        return b"".join(path.read_bytes() for path in (self._words, self.console_file) if path.exists())

    def say(self, line: str) -> None:
        """Write a line of the machine's surroundings, before the guest writes its own."""
        _append(self._words, line)

    def write(self, line: str) -> None:
        """Write a line as the guest."""
        _append(self.console_file, line)

    def stop(self) -> None:
        """Switch off; returns when its thread, and so whatever wrote to its disks, has ended."""
        self.stopping.set()
        self._thread.join()

    def refresh(self, spec: MachineSpec) -> None:
        """Let the metadata service say what's in `spec` now."""
        new = metadata_document(spec)
        self._service.update(
            user_data=new.user_data,
            attributes=new.attributes,
            tags=new.tags,
            identity=new.identity,
            further=new.further,
        )

    def _run(self) -> None:
        try:
            with self._service.serve() as url:
                refusal = boot_refusal(self.spec)
                if refusal:
                    self.say(refusal)
                    self.stopping.wait()
                else:
                    self._live(self, url)
        except MachineError as error:
            self.say(f"The machine has ended: {error}")
        finally:
            self._ended.set()


class GuestDriver(ABC):
    """Starts machines and keeps them, each start in a folder of its own; a context manager that stops them all.

    `forwards` are what every guest reaches besides its metadata service, `surroundings` what there is for a machine in
    the moment of its start. `signer` signs the machines' identity tokens: their tenant's.
    """

    def __init__(
        self,
        folder: Path,
        *,
        forwards: Sequence[Forward] = (),
        surroundings: Surroundings = lambda _spec: (),
        signer: TokenSigner | None = None,
    ) -> None:
        self._folder, self.signer = folder, signer or TokenSigner()
        self._forwards, self._surroundings = tuple(forwards), surroundings
        self._lock = threading.Lock()
        self._guests: list[Guest] = []
        self._closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def guests(self) -> tuple[Guest, ...]:
        """Every start so far, in order."""
        with self._lock:
            return tuple(self._guests)

    def start(self, spec: MachineSpec) -> Guest:
        """Start a machine; raises MachineError where that can't be."""
        with self._lock:
            if self._closed:
                message = f"{spec.name}: this place for machines is closed"
                raise MachineError(message)
            guest = Guest(spec, self._new_folder(spec.name), signer=self.signer, live=self.live)
            self.check(guest)
            guest.start()
            self._guests.append(guest)
        return guest

    def reach(self, spec: MachineSpec) -> tuple[Forward, ...]:
        """What a machine that starts now reaches besides its metadata service."""
        return (*self._forwards, *self._surroundings(spec))

    def close(self) -> None:
        """Stop every machine and start no more."""
        with self._lock:
            self._closed = True
            guests = tuple(self._guests)
        for guest in guests:
            guest.stopping.set()
        for guest in guests:
            guest.stop()

    def _new_folder(self, name: str) -> Path:
        """A folder that isn't there yet: an earlier driver's consoles may lie beside it."""
        numbers = count(len(self._guests) + 1)
        return next(path for number in numbers if not (path := self._folder / f"{number:03d}-{name}").exists())

    @abstractmethod
    def check(self, guest: Guest) -> None:
        """Raise MachineError where the machine can't be started at all."""

    @abstractmethod
    def live(self, guest: Guest, metadata_url: str) -> None:
        """Be the machine until it's off or `guest.stopping` is set."""


def _append(path: Path, line: str) -> None:
    with path.open("ab") as file:
        file.write(line.encode("utf-8") + b"\r\n")

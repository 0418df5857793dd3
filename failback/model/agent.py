"""What a client machine is told by its cloud's metadata service, in the text that the agent inside it reads.

The same rules, in awk, judge the text in the machine: failback/image/agent/settings.sh. A test compares the two.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    StringConstraints,
    ValidationError,
    model_validator,
)

from failback.errors import SettingsInvalid
from failback.model.agent_text import read_fields

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

GOOGLE_ATTRIBUTE = "failback-settings"
"""The instance attribute that holds the text on Google Cloud; on Azure it's the user data, in base64."""

MAPPING_LIMIT = 60
"""DRS replicates up to 60 disks of one recovery instance (replicatedDisks in DescribeRecoveryInstances)."""

_SECTOR = 512
_KEY_FIELDS = ("access_key", "secret_key", "session_token")
_ROLE_FIELDS = ("role_arn", "audience", "role_session")
_ROLE_OPTIONS = ("identity", "duration", "sts_endpoint")


def _secret(pattern: str) -> AfterValidator:
    def check(value: SecretStr) -> SecretStr:
        if re.fullmatch(pattern, value.get_secret_value()) is None:
            message = "has characters or a length that no such key has"
            raise ValueError(message)
        return value

    return AfterValidator(check)


def _check_certificate(value: str) -> str:
    try:
        decoded = base64.b64decode(value, validate=True)
    except binascii.Error:
        decoded = b""
    if not decoded.startswith(b"-----BEGIN CERTIFICATE-----"):
        message = "isn't base64 of a PEM certificate"
        raise ValueError(message)
    return value


def _text(pattern: str, longest: int, shortest: int = 0) -> StringConstraints:
    return StringConstraints(strict=True, pattern=f"^{pattern}$", min_length=shortest, max_length=longest)


Identifier = Annotated[str, _text(r"[A-Za-z0-9][A-Za-z0-9._-]*", 64)]
Region = Annotated[str, _text(r"[a-z]{2,}(-[a-z]+)+-[0-9]+", 32)]
InstanceId = Annotated[str, _text(r"i-[0-9a-f]{8,17}", 19)]
RoleArn = Annotated[str, _text(r"arn:aws[a-z-]*:iam::[0-9]{12}:role/[A-Za-z0-9+=,.@_/-]+", 2048)]
Audience = Annotated[str, _text(r"[A-Za-z0-9][A-Za-z0-9:/._~@?&=%+-]*", 256)]
RoleSession = Annotated[str, _text(r"[A-Za-z0-9_+=,.@-]+", 64, 2)]
MachineIdentityId = Annotated[str, _text(r"/[A-Za-z0-9._()/-]+", 512, 2)]
StsUrl = Annotated[str, _text(r"https://[A-Za-z0-9.-]+(:[0-9]+)?(/[A-Za-z0-9._~/-]*)?", 255)]
Endpoint = Annotated[str, _text(r"[A-Za-z0-9.:/_-]*", 255)]
Certificates = Annotated[str, _text(r"[A-Za-z0-9+/]+={0,2}", 32768, 4), AfterValidator(_check_certificate)]
RecoveryDevice = Annotated[str, _text(r"[A-Za-z0-9/][A-Za-z0-9/:_.-]*", 64)]
DeviceName = Annotated[str, _text(r"[A-Za-z0-9][A-Za-z0-9_.-]*", 63)]
Bytes = Annotated[int, Field(strict=True, ge=_SECTOR, lt=10**15, multiple_of=_SECTOR)]


class _Frozen(BaseModel):
    # Errors never repeat what was given: it may be a secret.
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class DiskMapping(_Frozen):
    """One volume of the recovery instance and the local disk that takes it: all given selectors must fit one disk.

    `lun` is the unit number that the cloud attached the disk at, `name` its device name, `size` its bytes; `exclude`
    leaves the volume out.
    """

    recovery_device: RecoveryDevice
    lun: Annotated[int, Field(strict=True, ge=0, le=99999)] | None = None
    name: DeviceName | None = None
    size: Bytes | None = None
    exclude: Annotated[bool, Field(strict=True)] = False

    @model_validator(mode="after")
    def _check_selectors(self) -> Self:
        if self.exclude == bool(self._selectors()):
            message = "needs either exclude or selectors (lun, name, size)"
            raise ValueError(message)
        return self

    def _selectors(self) -> dict[str, object]:
        selectors: dict[str, object] = {"lun": self.lun, "name": self.name, "size": self.size}
        return {key: value for key, value in selectors.items() if value is not None}

    def to_text(self) -> str:
        """The value of a `mapping=` line."""
        given = [f"{key}={value}" for key, value in self._selectors().items()]
        return " ".join([self.recovery_device, *(["exclude"] if self.exclude else given)])


class AgentSettings(_Frozen):
    """One client machine's settings; with `prepare` it only shows that it boots, and most may be left out.

    `identity` is which of the machine's identities AWS trusts, by its resource id: a machine that was taken over has
    others. `duration` is in seconds. `drs_endpoint` and `s3_endpoint` reach the client even if empty.
    `ca_certificates` is base64 of PEM, trusted besides the system's by the agent's own calls.
    """

    version: Literal[1] = 1
    run: Identifier
    server: Identifier
    prepare: Annotated[bool, Field(strict=True)] = False
    region: Region | None = None
    recovery_instance: InstanceId | None = None
    credentials: Literal["web-identity", "keys"] | None = None
    role_arn: RoleArn | None = None
    audience: Audience | None = None
    role_session: RoleSession | None = None
    identity: MachineIdentityId | None = None
    duration: Annotated[int, Field(strict=True, ge=900, le=43200)] | None = None
    sts_endpoint: StsUrl | None = None
    drs_endpoint: Endpoint = ""
    s3_endpoint: Endpoint = ""
    ca_certificates: Certificates | None = None
    access_key: Annotated[SecretStr, _secret(r"[A-Z0-9]{16,128}")] | None = None
    secret_key: Annotated[SecretStr, _secret(r"[A-Za-z0-9/+=]{16,128}")] | None = None
    session_token: Annotated[SecretStr, _secret(r"[A-Za-z0-9/+=_-]{16,8192}")] | None = None
    mapping: Annotated[tuple[DiskMapping, ...], Field(max_length=MAPPING_LIMIT)] = ()

    @model_validator(mode="after")
    def _check_whole(self) -> Self:
        faults = _whole_faults(dict(self), [dict(mapping) for mapping in self.mapping])
        if faults:
            raise ValueError("; ".join(faults))
        return self

    @classmethod
    def parse(cls, fields: Mapping[str, object]) -> Self:
        """From fields by name; raises SettingsInvalid with every fault, each with its path."""
        return cls._parse(fields, [])

    @classmethod
    def from_text(cls, text: str) -> Self:
        """From the text that `to_text` writes; raises SettingsInvalid with every fault, each with its path."""
        fields, faults = read_fields(text, cls.model_fields)
        if "version" not in fields:
            faults.append("version: is missing")
        return cls._parse(fields, faults)

    @classmethod
    def _parse(cls, fields: Mapping[str, object], faults: Sequence[str]) -> Self:
        try:
            settings = cls.model_validate(dict(fields))
        except ValidationError as error:
            raise SettingsInvalid("; ".join([*faults, *_fault_texts(error, fields)])) from error
        if faults:
            raise SettingsInvalid("; ".join(faults))
        return settings

    def to_text(self) -> str:
        """The settings as `name=value` lines, secrets included: it goes to the metadata service and nowhere else."""
        values = {name: value for name, value in self if value is not None and name != "mapping"}
        lines = [f"{name}={_value_text(value)}" for name, value in values.items()]
        return "".join(f"{line}\n" for line in [*lines, *(f"mapping={entry.to_text()}" for entry in self.mapping)])

    def to_user_data(self) -> str:
        """The text as Azure takes it: base64 without line ends."""
        return base64.b64encode(self.to_text().encode("ascii")).decode("ascii")


def _value_text(value: object) -> str:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    return str(value).lower() if isinstance(value, bool) else str(value)


def _fault_texts(error: ValidationError, fields: Mapping[str, object]) -> list[str]:
    """Pydantic's faults, and those of the whole, which pydantic doesn't look for once a field is faulty."""
    faults = [f"{_path(entry['loc'])}: {entry['msg']}" for entry in error.errors() if entry["loc"]]
    mappings = fields.get("mapping", ())
    entries = [entry for entry in mappings if isinstance(entry, dict)] if isinstance(mappings, (list, tuple)) else []
    return [*faults, *_whole_faults(fields, entries)]


def _path(location: tuple[int | str, ...]) -> str:
    path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location)
    return path.removeprefix(".")


def _whole_faults(fields: Mapping[str, object], mappings: Sequence[Mapping[str, object]]) -> list[str]:
    def given(name: str) -> bool:
        return fields.get(name) is not None

    return [*_credential_faults(fields, given), *_failback_faults(fields, mappings, given), *_repeated(mappings)]


def _credential_faults(fields: Mapping[str, object], given: Callable[[str], bool]) -> list[str]:
    faults = []
    kind = fields.get("credentials")
    keys = [name for name in _KEY_FIELDS if given(name)]
    if keys and len(keys) < len(_KEY_FIELDS):
        faults.append("access_key: must come with secret_key and session_token, or none of the three")
    if kind == "keys":
        faults += [f"{name}: isn't for credentials=keys" for name in (*_ROLE_FIELDS, *_ROLE_OPTIONS) if given(name)]
    else:
        faults += [f"{name}: isn't for anything but credentials=keys" for name in keys]
    if kind == "web-identity":
        faults += [f"{name}: is missing with credentials=web-identity" for name in _ROLE_FIELDS if not given(name)]
    return faults


def _failback_faults(
    fields: Mapping[str, object], mappings: Sequence[Mapping[str, object]], given: Callable[[str], bool]
) -> list[str]:
    if fields.get("prepare") is True:
        return []
    needed = ("region", "recovery_instance", "credentials")
    faults = [f"{name}: is missing" for name in needed if not given(name)]
    if all(entry.get("exclude") for entry in mappings):
        faults.append("mapping: is missing: at least one recovery device needs a local disk")
    return faults


def _repeated(mappings: Sequence[Mapping[str, object]]) -> list[str]:
    devices = [entry.get("recovery_device") for entry in mappings]
    return [
        f"mapping[{number}]: names its recovery device a second time"
        for number, device in enumerate(devices)
        if devices.index(device) < number
    ]

"""The settings' text, judged by the model and by the agent's own parser in each shell: both must say the same."""

from __future__ import annotations

import base64
import shutil
import string
import subprocess
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr, ValidationError

from failback.errors import SettingsInvalid
from failback.model.agent import AgentSettings, DiskMapping

AGENT = Path(__file__).parents[2] / "failback/image/agent"
SHELLS = [name for name in ("dash", "bash") if shutil.which(name)]
ROLE = "arn:aws:iam::123456789012:role/drs-failback/client"
PEM = base64.b64encode(b"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n").decode()
WHOLE = f"""version=1
run=run-1
server=s-0123456789abcdef0
region=eu-west-1
recovery_instance=i-0123456789abcdef0
credentials=web-identity
role_arn={ROLE}
audience=api://AzureADTokenExchange
role_session=run-1
duration=3600
sts_endpoint=https://127.0.0.1:4443/
drs_endpoint=https://10.0.2.100:4430
s3_endpoint=
ca_certificates={PEM}
mapping=/dev/xvda lun=0 size=32212254720
mapping=/dev/nvme1n1 name=data-1
mapping=/dev/xvdz exclude
"""
KEYS = """version=1
run=run-1
server=s-1
region=us-gov-west-1
recovery_instance=i-01234567
credentials=keys
access_key=ASIAABCDEFGHIJKLMNOP
secret_key=0123456789/0123456789+0123456789=
session_token=0123456789/0123456789+0123456789=
mapping=/dev/xvda size=512
"""
FAULTS = {
    "no line": ("", "version"),
    "other version": (WHOLE.replace("version=1", "version=2"), "version"),
    "no run": (WHOLE.replace("run=run-1\n", "", 1), "run"),
    "run with a blank": (WHOLE.replace("run=run-1", "run=run 1", 1), "run"),
    "command in run": (WHOLE.replace("run=run-1", "run=$(reboot)", 1), "run"),
    "run of 65": (WHOLE.replace("run=run-1", "run=" + "r" * 65, 1), "run"),
    "server empty": (WHOLE.replace("s-0123456789abcdef0", ""), "server"),
    "region": (WHOLE.replace("eu-west-1", "Europe"), "region"),
    "instance short": (WHOLE.replace("i-0123456789abcdef0", "i-0123456"), "recovery_instance"),
    "instance long": (WHOLE.replace("i-0123456789abcdef0", "i-0123456789abcdef01"), "recovery_instance"),
    "instance missing": (WHOLE.replace("recovery_instance=i-0123456789abcdef0\n", ""), "recovery_instance"),
    "credentials": (WHOLE.replace("web-identity", "password"), "credentials"),
    "role": (WHOLE.replace(ROLE, "arn:aws:iam::12345678901:role/x"), "role_arn"),
    "role missing": (WHOLE.replace(f"role_arn={ROLE}\n", ""), "role_arn"),
    "audience": (WHOLE.replace("api://Azure", "api://Az ure"), "audience"),
    "session": (WHOLE.replace("role_session=run-1", "role_session=r"), "role_session"),
    "duration low": (WHOLE.replace("3600", "899"), "duration"),
    "duration high": (WHOLE.replace("3600", "43201"), "duration"),
    "duration octal": (WHOLE.replace("3600", "03600"), "duration"),
    "endpoint by http": (WHOLE.replace("https://127", "http://127"), "sts_endpoint"),
    "endpoint with a quote": (WHOLE.replace("10.0.2.100", "10.0.2.100'"), "drs_endpoint"),
    "certificate": (WHOLE.replace(PEM, "not base64!"), "ca_certificates"),
    "unknown name": (WHOLE + "colour=blue\n", "line 18"),
    "empty line": (WHOLE + "\n", "line 18"),
    "no separator": (WHOLE + "version\n", "line 18"),
    "no name": (WHOLE + "=1\n", "line 18"),
    "name with a blank": (WHOLE + "selector lun=1\n", "line 18"),
    "given twice": (WHOLE + "region=eu-west-1\n", "region"),
    "carriage returns": (WHOLE.replace("\n", "\r\n"), "settings"),
    "letters beyond ASCII": (WHOLE.replace("run-1", "rün-1"), "settings"),
    "NUL": (WHOLE.replace("run-1", "run\0-1"), "settings"),
    "too long": (WHOLE + f"x={'x' * 50000}\n", "settings"),
    "no mapping": (WHOLE.partition("mapping=")[0], "mapping"),
    "only excluded": (WHOLE.partition("mapping=")[0] + "mapping=/dev/xvda exclude\n", "mapping"),
    "mapping without selector": (WHOLE + "mapping=/dev/xvdb\n", "mapping[3]"),
    "mapping of nothing": (WHOLE + "mapping=\n", "mapping[3]"),
    "selector unknown": (WHOLE + "mapping=/dev/xvdb uuid=1\n", "mapping[3]"),
    "selector twice": (WHOLE + "mapping=/dev/xvdb lun=1 lun=2\n", "mapping[3]"),
    "two blanks": (WHOLE + "mapping=/dev/xvdb  lun=1\n", "mapping[3]"),
    "exclude and more": (WHOLE + "mapping=/dev/xvdb exclude lun=1\n", "mapping[3]"),
    "lun octal": (WHOLE + "mapping=/dev/xvdb lun=01\n", "mapping[3]"),
    "size odd": (WHOLE + "mapping=/dev/xvdb size=1000\n", "mapping[3]"),
    "name with a slash": (WHOLE + "mapping=/dev/xvdb name=../x\n", "mapping[3]"),
    "device with a comma": (WHOLE + "mapping=/dev/xvdb,x lun=1\n", "mapping[3]"),
    "device twice": (WHOLE + "mapping=/dev/xvda lun=1\n", "mapping[3]"),
    "61 mappings": (WHOLE + "".join(f"mapping=/dev/d{n} lun={n}\n" for n in range(58)), "mapping"),
    "keys with a role": (KEYS + f"role_arn={ROLE}\n", "role_arn"),
    "role with keys": (WHOLE + "access_key=ASIAABCDEFGHIJKLMNOP\n", "access_key"),
    "key alone": (KEYS.replace("secret_key=0123456789/0123456789+0123456789=\n", ""), "access_key"),
    "key in small letters": (KEYS.replace("ASIA", "asia"), "access_key"),
    "secret with a blank": (KEYS.replace("secret_key=0", "secret_key= "), "secret_key"),
}


def shell_faults(text: str, *, shell: str = SHELLS[0]) -> list[str]:
    """What the agent's own parser says of a text."""
    with tempfile.NamedTemporaryFile() as file:
        Path(file.name).write_bytes(text.encode())
        program = f'LC_ALL=C; export LC_ALL; . "{AGENT}/settings.sh"; find_faults "$1"'
        options = ["--posix"] if shell == "bash" else []
        done = subprocess.run(
            [shell, *options, "-c", program, "test", file.name], capture_output=True, text=True, check=False
        )
    assert done.stderr == ""
    return done.stdout.splitlines()


def model_faults(text: str) -> list[str]:
    """What the model says of it."""
    try:
        AgentSettings.from_text(text)
    except SettingsInvalid as error:
        return str(error).split("; ")
    return []


@pytest.mark.parametrize("text", [WHOLE, WHOLE.removesuffix("\n"), KEYS], ids=["whole", "no last line end", "keys"])
def test_good_settings_pass_everywhere(text: str) -> None:
    assert model_faults(text) == []
    for shell in SHELLS:
        assert shell_faults(text, shell=shell) == []


@pytest.mark.parametrize(("text", "path"), FAULTS.values(), ids=FAULTS.keys())
def test_each_fault_is_named_everywhere(text: str, path: str) -> None:
    assert any(fault.startswith(path) for fault in model_faults(text))
    for shell in SHELLS:
        assert any(fault.startswith(path) for fault in shell_faults(text, shell=shell))


def test_every_fault_is_listed_and_no_secret_repeated() -> None:
    text = KEYS.replace("run-1", "run 1").replace("us-gov-west-1", "nowhere").replace("i-01234567", "i-x")
    text = text.replace("secret_key=0", "secret_key=!").replace("size=512", "size=513")
    for faults in (model_faults(text), shell_faults(text)):
        for path in ("run:", "region:", "recovery_instance:", "secret_key:", "mapping[0]"):
            assert [fault for fault in faults if fault.startswith(path)], (path, faults)
        assert "123456789" not in "".join(faults)


def test_preparing_needs_little() -> None:
    prepared = AgentSettings(run="run-1", server="s-1", prepare=True)
    assert shell_faults(prepared.to_text()) == []
    assert AgentSettings.from_text(prepared.to_text()) == prepared
    assert shell_faults(prepared.to_text().replace("prepare=true", "prepare=false"))


def test_secrets_stay_out_of_what_is_shown() -> None:
    parsed = AgentSettings.from_text(KEYS)
    assert "0123456789/" not in f"{parsed!r} {parsed} {parsed.model_dump_json()}"
    assert "secret_key=0123456789/" in parsed.to_text()
    with pytest.raises(ValidationError) as caught:
        AgentSettings(run="run-1", server="s-1", secret_key=SecretStr("my secret, with a blank"))
    assert "with a blank" not in str(caught.value)


def test_user_data_is_the_text_in_base64() -> None:
    parsed = AgentSettings.from_text(WHOLE)
    assert base64.b64decode(parsed.to_user_data()).decode() == parsed.to_text() != ""


LETTERS = string.ascii_letters + string.digits
IDS = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", fullmatch=True)
MAPPINGS = st.builds(
    DiskMapping,
    recovery_device=st.from_regex(r"/dev/[a-z]{3,4}[0-9]{0,2}", fullmatch=True),
    lun=st.none() | st.integers(0, 63),
    name=st.none() | st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}", fullmatch=True),
    size=st.integers(1, 1 << 36).map(lambda sectors: sectors * 512),
)
TEXTS = st.text(LETTERS + "/+=", min_size=16, max_size=90).map(SecretStr)
COMMON = {
    "run": IDS,
    "server": IDS,
    "region": st.sampled_from(["us-east-1", "eusc-de-east-1", "ap-southeast-4"]),
    "recovery_instance": st.from_regex(r"i-[0-9a-f]{8,17}", fullmatch=True),
    "drs_endpoint": st.sampled_from(["", "drs.local", "https://10.0.0.1:443"]),
    "s3_endpoint": st.sampled_from(["", "s3.local"]),
    "mapping": st.lists(MAPPINGS, min_size=1, max_size=4, unique_by=lambda m: m.recovery_device).map(tuple),
}
BY_ROLE = st.builds(
    AgentSettings,
    credentials=st.just("web-identity"),
    role_arn=st.from_regex(r"arn:aws:iam::[0-9]{12}:role/[A-Za-z0-9+=,.@_/-]{1,40}", fullmatch=True),
    audience=st.from_regex(r"[A-Za-z0-9][A-Za-z0-9:/._~@?&=%+-]{0,40}", fullmatch=True),
    role_session=st.from_regex(r"[A-Za-z0-9_+=,.@-]{2,64}", fullmatch=True),
    duration=st.none() | st.integers(900, 43200),
    **COMMON,
)
BY_KEYS = st.builds(
    AgentSettings,
    credentials=st.just("keys"),
    access_key=st.text(string.ascii_uppercase + string.digits, min_size=16, max_size=20).map(SecretStr),
    secret_key=TEXTS,
    session_token=TEXTS,
    **COMMON,
)


@settings(max_examples=40, deadline=None)
@given(st.one_of(BY_ROLE, BY_KEYS))
def test_what_the_model_writes_is_read_the_same(value: AgentSettings) -> None:
    text = value.to_text()
    assert AgentSettings.from_text(text) == value
    assert shell_faults(text) == []


@settings(max_examples=100, deadline=None)
@given(
    st.sampled_from([WHOLE.replace(PEM, base64.b64encode(b"-----BEGIN CERTIFICATE-----").decode()), KEYS]),
    st.integers(0, 1 << 16),
    st.integers(0, 4),
    st.text(LETTERS + " =,.:/_-\n'$\"\\\t\0é", max_size=6),
)
def test_damaged_text_is_judged_the_same(text: str, at: int, cut: int, added: str) -> None:
    start = at % len(text)
    damaged = text[:start] + added + text[start + cut :]
    in_certificate = text.find("ca_certificates") <= start + cut and start <= text.find("\nmapping")
    if in_certificate and "ca_certificates" in text:
        return  # the shell judges the form only and leaves the rest to base64 and curl
    assert bool(model_faults(damaged)) == bool(shell_faults(damaged)), damaged

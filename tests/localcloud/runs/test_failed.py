"""Runs that fail for good: the cause is told, and both clouds hold what they held before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from localcloud.faults import Deny, FaultRule, Status
from localcloud.guests.scripted import GuestPlan

if TYPE_CHECKING:
    from tests.localcloud.runs.place import Place

# Long enough for a machine that works, on a busy computer; those that say nothing are waited for that long.
VARIABLES = {"FAILBACK_SILENCE_SECONDS": "8"}
AWS_BUCKET = "^/aws-elastic-disaster-recovery-us-east-1/"


def denied(service: str, operation: str, path: str | None = None, *, always: bool = False) -> FaultRule:
    """The first such call is denied, or all of them."""
    return FaultRule(action=Deny(), service=service, operation=operation, path=path, nth=() if always else (1,))


# What a run leaves for the next ones, by the stage that they begin with: its rules, and the kinds that stay.
LEFT: dict[str, tuple[tuple[FaultRule, ...], set[str]]] = {
    "build_image": (
        (denied("ebs", "StartSnapshot"), denied("s3", "DeleteObject", "/iso/", always=True)),
        {"object"},
    ),
    "export_image": (
        (denied("ebs", "ListSnapshotBlocks"), denied("ec2", "DeregisterImage", always=True)),
        {"ami", "snapshot"},
    ),
    "import_image": (
        (denied("arm", "disks/write"), denied("s3", "DeleteObject", "/images/", always=True)),
        {"object"},
    ),
}
COMMANDS = {"object": "aws s3api delete-object", "ami": "aws ec2 deregister-image",
            "snapshot": "aws ec2 delete-snapshot"}  # fmt: skip


@pytest.fixture(scope="module")
def prepared() -> set[str]:
    """The stages that runs here don't begin before."""
    return set()


def begin_at(place: Place, stage: str, prepared: set[str]) -> None:
    """Have earlier runs leave what comes before a stage, because they may not remove it; their reports tell that."""
    stages = list(LEFT)
    for each in stages[: stages.index(stage) + 1] if stage in LEFT else ():
        if each not in prepared:
            rules, kinds = LEFT[each]
            told = place.run_under(f"left-for-{each}", *rules)
            assert told["status"] == "FAILED"
            left = place.report(f"left-for-{each}")["given_back"]["left"]
            assert {item["belonging"]["kind"] for item in left} == kinds, left
            for item in left:
                assert item["command"].startswith(COMMANDS[item["belonging"]["kind"]])
                assert item["why"]
            prepared.add(each)


def check_failed(place: Place, told: Any, before: object, stage: str, error: str) -> str:  # noqa: ANN401
    """Failed in that stage by that error, and nothing of it is there any more; gives the cause."""
    assert (told["status"], told["error"]) == ("FAILED", error), told
    cause: str = told["cause"]
    assert cause.startswith(f"{stage}: ")
    after = place.listing()
    assert after == before
    assert all(not each["activeAccess"] for each in after["azure"].values())
    report = place.report(told["name"])
    assert (report["outcome"]["stage"], report["outcome"]["error"]) == (stage, error)
    assert report["given_back"]["left"] == []
    return cause


DENIED = [
    ("fetch_iso", denied("s3", "GetObject", AWS_BUCKET), "the right to GetObject"),
    ("fetch_iso", denied("s3", "UploadPart"), "s3:PutObject"),
    ("fetch_iso", denied("s3", "CompleteMultipartUpload"), "s3:PutObject"),
    ("build_image", denied("ebs", "StartSnapshot"), "ebs:StartSnapshot"),
    ("build_image", denied("ebs", "PutSnapshotBlock"), "PutSnapshotBlock"),
    ("build_image", denied("ebs", "CompleteSnapshot"), "CompleteSnapshot"),
    ("build_image", denied("ec2", "RegisterImage"), "ec2:RegisterImage"),
    ("export_image", denied("ebs", "ListSnapshotBlocks"), "ListSnapshotBlocks"),
    ("export_image", denied("ebs", "GetSnapshotBlock"), "ebs:GetSnapshotBlock"),
    ("export_image", denied("s3", "UploadPart"), "s3:PutObject"),
    ("import_image", denied("arm", "disks/write"), "Microsoft.Compute/disks/write"),
    ("import_image", denied("arm", "disks/beginGetAccess"), "Microsoft.Compute/disks/beginGetAccess/action"),
    ("import_image", denied("blob", "PutPage"), "network access policy"),
    ("import_image", denied("arm", "disks/endGetAccess"), "Microsoft.Compute/disks/endGetAccess/action"),
    ("boot_test", denied("arm", "networkInterfaces/write"), "Microsoft.Network/networkInterfaces/write"),
    ("boot_test", denied("arm", "virtualMachines/write"), "Microsoft.Compute/virtualMachines/write"),
    (
        "boot_test",
        denied("arm", "virtualMachines/retrieveBootDiagnosticsData"),
        "Microsoft.Compute/virtualMachines/retrieveBootDiagnosticsData/action",
    ),
]


@pytest.mark.parametrize(
    ("stage", "rule", "right"),
    DENIED,
    ids=[f"{stage}-{rule.operation}".replace("/", "-") for stage, rule, _right in DENIED],
)
def test_a_call_that_is_denied_ends_the_run_and_leaves_nothing(
    place: Place, prepared: set[str], request: pytest.FixtureRequest, stage: str, rule: FaultRule, right: str
) -> None:
    begin_at(place, "import_image" if stage == "boot_test" else stage, prepared)
    before = place.listing()
    told = place.run_under(request.node.callspec.id, rule)
    assert right in check_failed(place, told, before, stage, "CloudRefused")


@pytest.mark.parametrize(
    ("machine", "said"),
    [
        (GuestPlan(fails_at="ready"), "its agent says: failed"),
        (GuestPlan(behaviour="no-boot"), "No bootable device"),
        (GuestPlan(behaviour="silent"), "showed no mark of the agent"),
    ],
    ids=["agent-fails", "no-boot", "silent"],
)
def test_a_boot_that_fails_leaves_nothing(
    place: Place, prepared: set[str], request: pytest.FixtureRequest, machine: GuestPlan, said: str
) -> None:
    begin_at(place, "import_image", prepared)
    before = place.listing()
    place.machines.append(machine)
    told = place.run(request.node.callspec.id)
    assert said in check_failed(place, told, before, "boot_test", "BootTestFailed")
    kinds = {each["kind"] for each in place.report(told["name"])["given_back"]["removed"]}
    assert kinds == {"disk"}


def test_what_fails_again_and_again_is_busy_in_the_end(place: Place, prepared: set[str]) -> None:
    """Each attempt of the machine is six of the SDK's."""
    begin_at(place, "import_image", prepared)
    before, done = place.listing(), len(place.clouds.faults.records)
    rule = FaultRule(action=Status(code=500, wait_ms=10), service="arm", operation="disks/beginGetAccess")
    told = place.run_under("busy", rule)
    assert "Azure is busy" in check_failed(place, told, before, "import_image", "CloudBusy")
    assert len(place.clouds.faults.records) - done == 9 * 6


def cool_down(place: Place, stage: str) -> None:
    """Let the stage's next call begin in a new sandbox, which knows no token yet."""
    functions, name = place.clouds.client("lambda"), place.function(stage)
    seconds = functions.get_function_configuration(FunctionName=name)["Timeout"]
    functions.update_function_configuration(FunctionName=name, Timeout=seconds + 1)


def test_a_sign_in_that_home_refuses_is_told(place: Place) -> None:
    before = place.listing()
    cool_down(place, "find_client_image")
    told = place.run_under("no-sign-in", denied("entra", "token"))
    cause = check_failed(place, told, before, "find_client_image", "SignInRefused")
    for part in ("AADSTS700016", "issuer http", "subject arn:aws:iam::", "audience api://AzureADTokenExchange"):
        assert part in cause


def test_a_home_that_lets_nobody_in_is_named_as_not_looked_through(place: Place) -> None:
    before = place.listing()
    for stage in ("find_client_image", "give_back"):
        cool_down(place, stage)
    told = place.run_under("locked-out", denied("entra", "token", always=True))
    assert (told["status"], told["error"]) == ("FAILED", "SignInRefused")
    assert place.listing() == before
    (left,) = place.report("locked-out")["given_back"]["left"]
    assert (left["belonging"]["cloud"], left["belonging"]["kind"]) == ("azure", "everything")
    assert "drs-failback:run=locked-out" in left["command"]


def test_a_run_after_all_these_ends_well(place: Place, prepared: set[str]) -> None:
    """With what the failed ones had to leave: it's found by its name, and not made twice."""
    begin_at(place, "import_image", prepared)
    before = place.listing()
    told = place.run("after-all")
    assert told["status"] == "SUCCEEDED", told
    after = place.listing()
    assert {name: after[name] for name in after if name != "azure"} == {
        name: before[name] for name in before if name != "azure"
    }
    assert [each["type"] for name, each in after["azure"].items() if name not in before["azure"]] == [
        "Microsoft.Compute/disks"
    ]

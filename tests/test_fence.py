"""Fences of each kind: raised and lifted again, as often as it takes, and what a person is told where they can't be."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from failback.errors import CloudBusy, CloudRefused, FenceFailed, NotGivenBack
from failback.fence import FenceDesk, FenceOrder, lift_command, lift_fence, raise_fence
from failback.fence_kinds import LIFT_TRIES, fence_token
from failback.model.cutover import DocumentFence, Fence, FunctionFence, GroupFence, NoFence
from failback.model.recovery import FailbackConfiguration, Host
from failback.model.request import ServerRequest
from failback.model.server import BeforeImage, Milestones, ServerRecord
from failback.model.way_home import FenceCursor, Fenced
from tests.crashes import Crashes
from tests.memory.clock import NOON, FixedClock
from tests.memory.documents import MemoryDocuments
from tests.memory.hooks import MemoryHooks
from tests.memory.hosts import MemoryHosts, Rule

if TYPE_CHECKING:
    from collections.abc import Mapping

RUN, SERVER = "failback-azure-home-20261122", "i-0a1b2c3d4e5f60718"
OWN, SHOP, FENCE = "sg-0a1b2c3d4e5f60718", "sg-0a1b2c3d4e5f60719", "sg-0a1b2c3d4e5f60799"
FUNCTION = "arn:aws:lambda:eu-west-1:111122223333:function:fence"
GROUPS = GroupFence(kind="security-group", group=FENCE)
DOCUMENT = DocumentFence(
    kind="ssm",
    document="StopShop",
    parameters={"service": ("shop", "till")},
    lift_document="StartShop",
    lift_parameters={"service": ("the shop's",)},
    minutes=20,
)
CALLED = FunctionFence(kind="lambda", function=FUNCTION, minutes=5)
FENCES: Mapping[str, Fence] = {"group": GROUPS, "ssm": DOCUMENT, "lambda": CALLED}


def record_of(*, fenced: bool = True, groups: tuple[str, ...] = (OWN, SHOP)) -> ServerRecord:
    return ServerRecord(
        id=SERVER,
        request=ServerRequest(recovery_instance=SERVER),
        before=BeforeImage(configuration=FailbackConfiguration(), groups=groups),
        milestones=Milestones(fenced=NOON if fenced else None),
    )


@dataclass
class Yard:
    """One recovery instance in two groups, and a third one for the fence; every port is `crashes`' to fail."""

    crashes: Crashes = field(default_factory=Crashes)
    hosts: MemoryHosts = field(default_factory=MemoryHosts)
    documents: MemoryDocuments = field(default_factory=MemoryDocuments)
    hooks: MemoryHooks = field(default_factory=MemoryHooks)
    clock: FixedClock = field(default_factory=FixedClock)
    order: FenceOrder = field(init=False)
    cursor: FenceCursor | None = None

    def __post_init__(self) -> None:
        self.hosts.add(Host(id=SERVER, state="running", groups=(OWN, SHOP)))
        self.hosts.groups.add(FENCE)
        self.order = FenceOrder(run=RUN, open_way=self.open)

    def open(self, group: str) -> None:
        self.crashes.call("open", self.hosts.admit, group, "10.30.0.4/32", tags={})

    @property
    def groups(self) -> list[str]:
        return list(self.hosts.known[SERVER].groups)

    @property
    def desk(self) -> FenceDesk:
        over = self.crashes.over
        return FenceDesk(
            hosts=over("hosts", self.hosts),
            documents=over("documents", self.documents),
            hooks=over("hooks", self.hooks),
            clock=self.clock,
        )

    def raise_once(self, fence: Fence | None, record: ServerRecord | None = None) -> Fenced | FenceCursor:
        come_to = raise_fence(fence, record or record_of(), self.order, self.cursor, self.desk)
        self.cursor = come_to if isinstance(come_to, FenceCursor) else None
        return come_to

    def raised(self, fence: Fence) -> Fenced:
        """A minute between two looks; a command takes two of them."""
        for _ in range(5):
            come_to = self.raise_once(fence)
            if isinstance(come_to, Fenced):
                return come_to
            self.clock.forward(minutes=1)
            if self.documents.sent and self.cursor and self.cursor.asked != self.clock.now():
                self.documents.settle(self.documents.sent[-1].id, "done", "the shop is closed")
        raise AssertionError("it isn't up after five looks")

    def lift(self, fence: Fence | None, record: ServerRecord | None = None) -> bool:
        return lift_fence(fence, record or record_of(), RUN, self.desk)


@pytest.fixture
def yard() -> Yard:
    return Yard()


@pytest.mark.parametrize("fence", [None, NoFence(kind="none")], ids=["nothing", "none"])
def test_without_a_fence_nothing_is_touched(yard: Yard, fence: Fence | None) -> None:
    come_to = yard.raise_once(fence)
    assert isinstance(come_to, Fenced)
    assert (come_to.kind, come_to.said[:30]) == ("none", "nothing stops the workload: wh")
    assert yard.lift(fence)
    assert lift_command(fence, record_of()) == ""
    assert yard.crashes.calls == []


def test_the_way_to_port_1500_is_open_before_groups_are_exchanged(yard: Yard) -> None:
    come_to = yard.raise_once(GROUPS)
    assert isinstance(come_to, Fenced)
    assert (come_to.kind, FENCE in come_to.said) == ("security-group", True)
    assert yard.crashes.calls == ["hosts.describe", "open", "hosts.exchange_groups"]
    assert yard.groups == [FENCE]
    assert list(yard.hosts.rules.values()) == [Rule(FENCE, "10.30.0.4/32")]
    assert yard.lift(GROUPS)
    assert yard.groups == [OWN, SHOP]


def test_groups_that_are_not_those_from_before_are_not_exchanged(yard: Yard) -> None:
    yard.hosts.exchange_groups(SERVER, [OWN])
    with pytest.raises(FenceFailed, match=f"security groups are {OWN}, and were {OWN}, {SHOP} when the run began"):
        yard.raise_once(GROUPS)
    assert yard.lift(GROUPS)
    assert yard.groups == [OWN]
    assert not yard.hosts.rules


@pytest.mark.parametrize("groups", [(), None], ids=["no-groups", "no-image"])
def test_groups_that_nobody_wrote_down_are_not_exchanged(yard: Yard, groups: tuple[str, ...] | None) -> None:
    record = record_of(groups=())
    record = record.model_copy(update={"before": None}) if groups is None else record
    with pytest.raises(FenceFailed, match="weren't written down"):
        yard.raise_once(GROUPS, record)
    assert yard.lift(GROUPS, record)
    assert yard.groups == [OWN, SHOP]


def test_an_instance_that_is_gone_is_not_fenced(yard: Yard) -> None:
    yard.hosts.known.clear()
    with pytest.raises(FenceFailed, match="security groups are none"):
        yard.raise_once(GROUPS)


def test_a_document_is_looked_at_until_it_has_succeeded(yard: Yard) -> None:
    yard.documents.status = "pending"
    first = yard.raise_once(DOCUMENT)
    assert first == FenceCursor(command=yard.documents.sent[0].id, asked=NOON)
    yard.clock.forward(minutes=19)
    assert yard.raise_once(DOCUMENT) == first
    (sent,) = yard.documents.sent
    assert (sent.instance, sent.document, sent.parameters) == (SERVER, "StopShop", DOCUMENT.parameters)
    assert (sent.token, sent.minutes) == (f"{RUN}-{SERVER}-fence", 20)
    yard.documents.settle(sent.id, "done", "the shop is closed")
    assert yard.raise_once(DOCUMENT) == Fenced(kind="ssm", said="the shop is closed")


def test_a_silent_document_has_succeeded_too(yard: Yard) -> None:
    assert yard.raise_once(DOCUMENT) == Fenced(kind="ssm", said="StopShop succeeded")


def test_a_document_that_fails_tells_what_it_said(yard: Yard) -> None:
    yard.documents.status, yard.documents.said = "failed", "no such service."
    with pytest.raises(FenceFailed, match=r"StopShop failed \(command .*\): no such service\. Put that right"):
        yard.raise_once(DOCUMENT)


def test_a_document_has_its_minutes(yard: Yard) -> None:
    yard.documents.status = "pending"
    yard.raise_once(DOCUMENT)
    yard.clock.forward(minutes=20)
    with pytest.raises(FenceFailed, match=r"StopShop hasn't ended within 20 minutes .*: it said nothing"):
        yard.raise_once(DOCUMENT)


def test_a_document_is_run_anew_when_a_person_has_it_tried_again(yard: Yard) -> None:
    yard.documents.status = "pending"
    before = yard.raise_once(DOCUMENT)
    yard.clock.forward(hours=2)
    yard.order = FenceOrder(run=RUN, open_way=yard.open, again=yard.clock.now())
    anew = yard.raise_once(DOCUMENT)
    assert anew != before
    assert anew == FenceCursor(command=yard.documents.sent[1].id, asked=yard.clock.now())
    assert yard.raise_once(DOCUMENT) == anew
    tokens = [each.token for each in yard.documents.sent]
    assert tokens == [fence_token(RUN, SERVER), f"{fence_token(RUN, SERVER)}-{yard.clock.now().timestamp():.0f}"]


@pytest.mark.parametrize("length", [1, 60, 61, 80])
def test_tokens_fit_into_a_comment_and_stay_apart(yard: Yard, length: int) -> None:
    again = FenceOrder(run="r" * length, open_way=yard.open, again=NOON)
    raise_fence(DOCUMENT, record_of(), again, None, yard.desk)
    assert len(yard.documents.sent[0].token) <= 100
    assert yard.documents.sent[0].token.startswith(fence_token("r" * length, SERVER))
    assert fence_token("r" * length, SERVER) != fence_token("r" * (length - 1) + "s", SERVER)


def test_a_function_is_called_until_it_is_done(yard: Yard) -> None:
    yard.hooks.answers = [{"status": "pending"}, {"status": "pending"}, {"status": "done", "said": "closed"}]
    assert yard.raise_once(CALLED) == FenceCursor(asked=NOON)
    yard.clock.forward(minutes=4)
    assert yard.raise_once(CALLED) == FenceCursor(asked=NOON)
    assert yard.raise_once(CALLED) == Fenced(kind="lambda", said="{'status': 'done', 'said': 'closed'}")
    event = {"action": "fence", "run": RUN, "server": SERVER, "instance": SERVER}
    assert yard.hooks.calls == [(FUNCTION, event)] * 3


def test_a_function_has_its_minutes(yard: Yard) -> None:
    yard.hooks.answers = [{"status": "pending"}]
    yard.raise_once(CALLED)
    yard.clock.forward(minutes=5)
    with pytest.raises(FenceFailed, match="isn't done within 5 minutes"):
        yard.raise_once(CALLED)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        pytest.param({"status": "perhaps"}, "neither done nor pending", id="another-word"),
        pytest.param({}, "neither done nor pending", id="nothing"),
        pytest.param("KeyError: 'run'", "failed: KeyError: 'run'", id="its-own-fault"),
    ],
)
def test_a_function_that_does_not_fence_fails_it(yard: Yard, answer: dict[str, object] | str, words: str) -> None:
    yard.hooks.answers = [answer]
    with pytest.raises(FenceFailed, match=words):
        yard.raise_once(CALLED)


@pytest.mark.parametrize("fence", FENCES.values(), ids=FENCES)
def test_what_was_never_fenced_is_not_touched(yard: Yard, fence: Fence) -> None:
    yard.hosts.exchange_groups(SERVER, [FENCE])
    assert yard.lift(fence, record_of(fenced=False))
    assert yard.crashes.calls == []
    assert yard.groups == [FENCE]


@pytest.mark.parametrize("fence", FENCES.values(), ids=FENCES)
@pytest.mark.parametrize("state", ["", "terminated"], ids=["unknown", "terminated"])
def test_there_is_nothing_to_lift_on_an_instance_that_is_gone(yard: Yard, state: str, fence: Fence) -> None:
    if state:
        yard.hosts.add(Host(id=SERVER, state=state))
    else:
        yard.hosts.known.clear()
    assert yard.lift(fence)
    assert yard.crashes.calls == ["hosts.describe"]


def test_groups_that_a_person_has_given_meanwhile_stay(yard: Yard) -> None:
    yard.raised(GROUPS)
    yard.hosts.exchange_groups(SERVER, [SHOP])
    assert yard.lift(GROUPS)
    assert yard.groups == [SHOP]


def test_a_document_lifts_when_the_one_that_fenced_has_ended(yard: Yard) -> None:
    yard.documents.status = "pending"
    yard.raise_once(DOCUMENT)
    yard.clock.forward(minutes=21)
    assert not yard.lift(DOCUMENT)
    assert len(yard.documents.sent) == 1
    yard.documents.settle(yard.documents.sent[0].id, "failed")
    assert not yard.lift(DOCUMENT)
    assert not yard.lift(DOCUMENT)
    fence, lifting = yard.documents.sent
    assert (lifting.document, lifting.parameters) == ("StartShop", DOCUMENT.lift_parameters)
    assert lifting.token == f"{RUN}-{SERVER}-lift"
    yard.documents.settle(lifting.id, "done")
    assert yard.lift(DOCUMENT)
    assert yard.documents.sent == [fence, lifting]


def test_a_fence_that_never_ends_does_not_keep_it_from_being_lifted_for_ever(yard: Yard) -> None:
    yard.documents.status = "pending"
    yard.raise_once(DOCUMENT)
    yard.clock.forward(minutes=20 + 60)
    yard.documents.status = "done"
    assert yard.lift(DOCUMENT)


@pytest.mark.parametrize("lift", ["StartShop", None], ids=["lifted", "by-hand"])
def test_a_document_that_was_never_run_is_not_lifted(yard: Yard, lift: str | None) -> None:
    yard.documents.unknown = frozenset({"StopShop"})
    fence = DOCUMENT.model_copy(update={"lift_document": lift})
    with pytest.raises(CloudRefused):
        yard.raise_once(fence)
    assert yard.lift(fence)
    assert not yard.documents.sent


def test_what_nobody_remembers_is_lifted_all_the_same(yard: Yard) -> None:
    yard.clock.forward(days=28)
    assert yard.lift(DOCUMENT)
    assert [each.document for each in yard.documents.sent] == ["StartShop"]


def test_lifting_by_a_document_is_tried_three_times(yard: Yard) -> None:
    yard.raised(DOCUMENT)
    for number in range(1, LIFT_TRIES + 1):
        yard.documents.status = "pending"
        assert not yard.lift(DOCUMENT)
        yard.documents.settle(yard.documents.sent[-1].id, "failed", f"cannot start, {number}")
    for _ in range(2):
        with pytest.raises(NotGivenBack, match=r"StartShop has failed 3 times: cannot start, 3\. The workload"):
            yard.lift(DOCUMENT)
    assert len(yard.documents.sent) == 1 + LIFT_TRIES
    assert len({each.token for each in yard.documents.sent}) == 1 + LIFT_TRIES


def test_without_a_document_that_lifts_a_person_has_to(yard: Yard) -> None:
    fence = DOCUMENT.model_copy(update={"lift_document": None})
    yard.raised(fence)
    with pytest.raises(NotGivenBack, match="StopShop has stopped the workload, and the run knows none that starts it"):
        yard.lift(fence)


def test_a_function_lifts_what_it_fenced(yard: Yard) -> None:
    yard.hooks.answers = [{"status": "pending"}, {"status": "done"}]
    assert not yard.lift(CALLED)
    assert yard.lift(CALLED)
    assert [event["action"] for _, event in yard.hooks.calls] == ["lift", "lift"]


@pytest.mark.parametrize(
    ("answer", "error"), [({"status": "no"}, NotGivenBack), ("KeyError", CloudRefused)], ids=["another-word", "fault"]
)
def test_a_function_that_does_not_lift_is_told(
    yard: Yard, answer: dict[str, object] | str, error: type[Exception]
) -> None:
    yard.hooks.answers = [answer]
    with pytest.raises(error):
        yard.lift(CALLED)


def test_a_person_can_lift_each_kind() -> None:
    assert lift_command(GROUPS, record_of()).endswith(f"--instance-id {SERVER} --groups {OWN} {SHOP}")
    words = shlex.split(lift_command(DOCUMENT, record_of()))
    assert words[:7] == ["aws", "ssm", "send-command", "--instance-ids", SERVER, "--document-name", "StartShop"]
    assert json.loads(words[-1]) == {"service": ["the shop's"]}
    assert lift_command(DOCUMENT.model_copy(update={"lift_parameters": {}}), record_of()).endswith("StartShop")
    assert "StopShop" in lift_command(DOCUMENT.model_copy(update={"lift_document": None}), record_of())
    words = shlex.split(lift_command(CALLED, record_of(), RUN))
    assert words[:5] == ["aws", "lambda", "invoke", "--function-name", FUNCTION]
    assert json.loads(words[-2]) == {"action": "lift", "run": RUN, "server": SERVER, "instance": SERVER}


def up_and_down(yard: Yard, fence: Fence) -> None:
    """Raised, and lifted; each as often as it takes."""
    yard.documents.status = "pending"
    yard.raised(fence)
    yard.documents.status = "done"
    while not yard.lift(fence):
        pass


def calls_of(fence: Fence) -> int:
    yard = Yard()
    up_and_down(yard, fence)
    return len(yard.crashes.calls)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize(
    ("kind", "at"), [(kind, at) for kind, fence in FENCES.items() for at in range(calls_of(fence))]
)  # fmt: skip
def test_a_lost_call_changes_nothing_about_the_end(kind: str, at: int, after: bool) -> None:
    yard, fence = Yard(crashes=Crashes(at=at, after=after)), FENCES[kind]
    with pytest.raises(CloudBusy):
        up_and_down(yard, fence)
    up_and_down(yard, fence)
    assert yard.groups == [OWN, SHOP]
    assert [each.document for each in yard.documents.sent] == (["StopShop", "StartShop"] if kind == "ssm" else [])
    assert list(yard.hosts.rules.values()) == ([Rule(FENCE, "10.30.0.4/32")] if kind == "group" else [])


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("at", range(3))
def test_groups_half_exchanged_are_given_back(at: int, after: bool) -> None:
    yard = Yard(crashes=Crashes(at=at, after=after))
    with pytest.raises(CloudBusy):
        yard.raise_once(GROUPS)
    assert yard.lift(GROUPS)
    assert yard.groups == [OWN, SHOP]

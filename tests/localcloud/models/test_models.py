"""The embedded AWS by the vendor's own models: each emulated operation with each member, and every answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.localcloud.models.documented import DOCUMENTED, NOT_EMULATED
from tests.localcloud.models.members import example, given, paths
from tests.localcloud.models.operations_ebs import EBS, EC2, STS
from tests.localcloud.models.operations_s3 import S3
from tests.localcloud.models.place import Place, open_place
from tests.localcloud.models.wire import Answer, error_code, faults

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.localcloud.models.emulated import Emulated

pytestmark = pytest.mark.embedded
ALL = (*EBS, *EC2, *STS, *S3)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with open_place(tmp_path_factory.mktemp("models")) as opened:
        yield opened


@pytest.mark.parametrize("emulated", ALL, ids=lambda each: f"{each.service}-{each.operation}")
def test_every_member_is_acted_on_or_refused_and_every_answer_is_the_models(place: Place, emulated: Emulated) -> None:
    model: Any = place.clients[emulated.client].meta.service_model.operation_model(emulated.operation)
    members = paths(model)
    assert not [name for name in (*emulated.accepted, *emulated.answered) if name not in members]
    least = place.call(emulated.client, emulated.operation, emulated.least(place))
    found = [] if least.status < 300 else [f"the least call is refused: {error_code(least)} {least.body!r}"]
    # What's refused changes nothing: one call serves for all of that.
    spare = emulated.least(place)
    for path in sorted(members):
        if path in emulated.accepted:
            call = emulated.call_with(place, path, model.input_shape)
        elif _has(spare, path):
            continue
        else:
            call = given(spare, path, model.input_shape, example(members[path]))
        found += _judged(emulated, path, place.call(emulated.client, emulated.operation, call))
    found += [
        fault
        for answer in place.answers
        for fault in faults(answer, DOCUMENTED[emulated.service])
        if answer.operation.name == emulated.operation
    ]
    assert not found, "\n".join(found)


def _judged(emulated: Emulated, path: str, answer: Answer) -> list[str]:
    """An accepted member's call succeeds; all others are refused as what the embedded AWS doesn't do."""
    if path in emulated.accepted:
        return [] if answer.status < 300 else [f"{path}: {error_code(answer)} {answer.body!r}"]
    wanted = emulated.answered.get(path, NOT_EMULATED[emulated.service])
    if answer.status < 300:
        return [f"{path} is ignored"]
    without_body = {str(DOCUMENTED[emulated.service].get(wanted))} if not answer.body else set()
    return [] if error_code(answer) in {wanted} | without_body else [f"{path}: {error_code(answer)}, not {wanted}"]


def _has(call: Any, path: str) -> bool:  # noqa: ANN401 - a call, or what is in it
    """Whether the least call has that member already."""
    name, _, rest = path.partition(".")
    value = call.get(name)
    if value is None or not rest:
        return value is not None
    return _has(value[0] if isinstance(value, list) else value, rest)

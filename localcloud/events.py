"""EventBridge's targets: what of an event reaches a target, by Input, InputPath or InputTransformer.

Source: Amazon EventBridge user guide, "Amazon EventBridge input transformation"; botocore's model events 2015-10-07.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from failback.errors import LocalCloudError

if TYPE_CHECKING:
    from collections.abc import Mapping

_STEP = re.compile(r"""\.([\w-]+)|\[(\d+)\]|\['([^']+)'\]|\["([^"]+)"\]""")
_PLACE = re.compile(r"<([\w.-]+)>")
_MISSING = object()


def target_input(target: Mapping[str, Any], event: Mapping[str, Any], *, rule_arn: str) -> str:
    """The JSON that the target is given for the event; raises LocalCloudError for a path or template that's wrong."""
    if target.get("Input") is not None:
        return str(target["Input"])
    if target.get("InputPath") is not None:
        found = look_up(event, target["InputPath"])
        return json.dumps(None if found is _MISSING else found)
    if target.get("InputTransformer") is not None:
        return _transformed(target["InputTransformer"], event, rule_arn)
    return json.dumps(event)


def look_up(event: Mapping[str, Any], path: str) -> object:
    """What a path of EventBridge's kind ($, $.detail.name, $.resources[0], $['detail-type']) points at."""
    if not path.startswith("$"):
        message = f"The path {path!r} doesn't start with $: EventBridge refuses the rule with ValidationException."
        raise LocalCloudError(message)
    value: object = event
    position = 1
    while position < len(path):
        step = _STEP.match(path, position)
        if step is None:
            message = f"The path {path!r} isn't one of the forms that EventBridge knows, from {path[position:]!r} on."
            raise LocalCloudError(message)
        position = step.end()
        value = _step(value, step)
    return value


def _step(value: object, step: re.Match[str]) -> object:
    if step[2] is not None:
        number = int(step[2])
        return value[number] if isinstance(value, list) and number < len(value) else _MISSING
    name = step[1] or step[3] or step[4]
    return value.get(name, _MISSING) if isinstance(value, dict) else _MISSING


def _transformed(transformer: Mapping[str, Any], event: Mapping[str, Any], rule_arn: str) -> str:
    paths: Mapping[str, str] = transformer.get("InputPathsMap") or {}
    values = {name: look_up(event, path) for name, path in paths.items()}
    plain = {key: value for key, value in event.items() if key != "ingestion-time"}
    values |= {
        "aws.events.rule-arn": rule_arn,
        "aws.events.rule-name": rule_arn.rpartition("/")[2],
        "aws.events.event.ingestion-time": event.get("ingestion-time", event.get("time")),
        "aws.events.event": {key: value for key, value in plain.items() if key != "detail"},
        "aws.events.event.json": plain,
    }
    text = _fill(str(transformer["InputTemplate"]), values)
    try:
        return json.dumps(json.loads(text))
    except ValueError:
        # A template of plain lines is one string.
        return json.dumps(text)


def _fill(template: str, values: Mapping[str, object]) -> str:
    """Values in place of <names>: as JSON, or within a string as its bare text."""
    parts: list[str] = []
    quoted, position = False, 0
    for place in _PLACE.finditer(template):
        before = template[position : place.start()]
        quoted ^= len(re.findall(r'(?<!\\)"', before)) % 2 == 1
        position = place.end()
        if place[1] not in values:
            parts += [before, place[0]]
            continue
        parts += [before, _text(values[place[1]], quoted=quoted)]
    return "".join([*parts, template[position:]])


def _text(value: object, *, quoted: bool) -> str:
    if value is _MISSING:
        return "" if quoted else '""'
    if not quoted:
        return json.dumps(value)
    return json.dumps(value if isinstance(value, str) else json.dumps(value))[1:-1]

"""The report's page as a Jinja2 template, and its style: text, so that no function's package has to carry a file."""

STYLE = """
:root { color-scheme: light dark; --text: #1c2024; --soft: #5b6470; --line: #d9dee4; --page: #fff; --card: #f6f8fa;
  --good: #1a7f37; --bad: #c62828; --warn: #9a6700; --bar: #3b77c2; }
@media (prefers-color-scheme: dark) {
  :root { --text: #e6e9ec; --soft: #9aa4af; --line: #343b43; --page: #15181b; --card: #1e2327;
    --good: #4cc26c; --bad: #ff7b72; --warn: #e0b341; --bar: #6aa5ea; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 76rem; padding: 1.5rem; background: var(--page); color: var(--text);
  font: 15px/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.6rem; margin: 0 0 .5rem; } h2 { font-size: 1.25rem; margin: 2.2rem 0 .6rem; }
h3 { font-size: 1.05rem; margin: 1.8rem 0 .5rem; } h4 { font-size: .95rem; margin: 1rem 0 .3rem; }
table { border-collapse: collapse; width: 100%; font-size: .9rem; }
th, td { text-align: left; vertical-align: top; padding: .3rem .7rem .3rem 0; border-bottom: 1px solid var(--line); }
th { color: var(--soft); font-weight: 600; } td.number, th.number { text-align: right; white-space: nowrap; }
code, pre { font: .86em/1.45 ui-monospace, monospace; } a { color: inherit; }
pre { background: var(--card); padding: .6rem .8rem; white-space: pre-wrap; margin: .3rem 0; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .15rem 1.2rem; margin: .4rem 0; }
dt { color: var(--soft); } dd { margin: 0; } ol.chain { padding-left: 1.3rem; } ul { padding-left: 1.3rem; }
.outcome { border-left: .4rem solid var(--soft); background: var(--card); padding: .8rem 1rem; margin: 0 0 1rem; }
.outcome p { margin: .3rem 0 0; white-space: pre-line; }
.good { color: var(--good); } .bad { color: var(--bad); } .warn { color: var(--warn); } .soft { color: var(--soft); }
.outcome.good, .outcome.bad { color: inherit; }
.outcome.good { border-color: var(--good); } .outcome.bad { border-color: var(--bad); }
.server { border-top: 2px solid var(--line); margin-top: 1.6rem; }
.track { position: relative; height: .8rem; min-width: 9rem; background: var(--card); }
.track span { position: absolute; top: 0; bottom: 0; background: var(--bar); }
.track span.failed { background: var(--bad); } .track span.pending { background: var(--warn); }
@media print {
  :root { color-scheme: light; --text: #000; --page: #fff; --card: #f2f2f2; --soft: #444; --line: #bbb; }
  body { max-width: none; padding: 0; font-size: 11px; } tr, dl, .outcome { break-inside: avoid; }
  h2, h3, h4 { break-after: avoid; } .track, .track span { print-color-adjust: exact; }
}
"""

_MACROS = """
{% macro word(text) %}
{% set kinds = {"done": "good", "home": "good", "rehearsed": "good", "failed": "bad", "launched": "warn"} %}
<span class="{{ kinds.get(text, "soft") }}">{{ text }}</span>{% endmacro %}
{% macro fact(label, value) %}
{% if value is not none and value != "" %}<dt>{{ label }}</dt><dd>{{ value }}</dd>{% endif %}
{% endmacro %}
{% macro listed(title, lines) %}
{% if lines %}<h4>{{ title }}</h4>
<ul>{% for line in lines %}<li>{{ line }}</li>{% endfor %}</ul>{% endif %}
{% endmacro %}
{% macro timeline(bars) %}
<table>
<thead><tr><th>stage</th><th>began (UTC)</th><th class="number">time</th><th class="number">calls</th>
<th class="number">bytes</th><th>how it stands</th><th>when</th></tr></thead>
<tbody>
{% for bar in bars %}
<tr><td>{{ bar.entry.stage|stage_words }}</td><td>{{ bar.entry.began|moment }}</td>
<td class="number">{{ bar.entry.seconds|span }}</td><td class="number">{{ bar.entry.calls }}</td>
<td class="number">{% if bar.entry.total %}{{ (bar.entry.bytes or 0)|amount }} of {{ bar.entry.total|amount }}\
{% endif %}</td>
<td>{{ word(bar.entry.status) }}{% if bar.entry.error %} {{ bar.entry.error }}{% endif %}</td>
<td><div class="track"><span class="{{ bar.entry.status }}" style="left:{{ bar.left }}%;width:{{ bar.width }}%"></span>
</div></td></tr>
{% endfor %}
</tbody>
</table>
{% endmacro %}
{% macro left_behind(items) %}
{% for each in items %}
<p><strong>{{ each.belonging.kind }} {{ each.belonging.name }}</strong> {{ each.belonging.id }}
({{ each.belonging.cloud }}): {{ each.why }}</p>
<pre>{{ each.command }}</pre>
{% endfor %}
{% endmacro %}
{% macro decisions(items) %}
{% if items %}<h4>Decisions</h4>
<table><thead><tr><th>when (UTC)</th><th>on</th><th>decided</th><th>by</th><th>how that's known</th><th>why</th></tr>
</thead>
<tbody>
{% for each in items %}
<tr><td>{{ each.at|moment }}</td><td>{{ each.subject }} of {{ each.scope }}</td>
<td>{{ each.verdict|replace("_", " ") }}{% if each.discard %}, discarding what was written at home{% endif %}</td>
<td>{{ each.actor }}</td><td>{{ each.known_by }}</td><td>{{ each.why }}</td></tr>
{% endfor %}
</tbody></table>{% endif %}
{% endmacro %}
{% macro agreed(label, said) %}
{% if said %}<dt>{{ label }}</dt>
<dd>by {{ said.actor or "nobody" }}, {{ said.at|moment }}{% if said.why %}: {{ said.why }}{% endif %}
{% if said.known_by %}<span class="soft">({{ said.known_by }})</span>{% endif %}</dd>{% endif %}
{% endmacro %}
{% macro figure(seconds) %}{{ seconds|span if seconds is not none else "not known" }}{% endmacro %}
{% macro protection(known) %}{{ "not known" if known is none else ("yes" if known else "no") }}{% endmacro %}
"""

_SERVER = """
{% macro server(part) %}
{% set it = part.report %}{% set record = it.record %}{% set plan = record.plan %}
<section class="server" id="{{ part.anchor }}">
<h3>{{ plan.hostname if plan else "" }} {{ record.id }}: {{ word(record.outcome.outcome if record.outcome else
"under way") }}</h3>
{% if record.outcome and record.outcome.cause %}<p>{{ record.outcome.stage|stage_words }}
{{ record.outcome.error }}: {{ record.outcome.cause }}</p>{% endif %}
<dl>
{% if plan %}
{{ fact("way home", plan.way ~ (", onto its own disks" if plan.overwrite else "")) }}
{{ fact("wave", plan.wave) }}
{{ fact("machine at home", plan.own_machine) }}
{{ fact("source server", plan.source_server) }}
{% endif %}
{{ agreed("approved", it.approval) }}
{% if it.approval and it.approval.to_copy %}{{ fact("left to copy then", it.approval.to_copy|amount) }}{% endif %}
{% for name in ("fenced", "launched", "started") %}
{% if record.milestones[name] %}{{ fact(name ~ " (UTC)", record.milestones[name]|moment) }}{% endif %}
{% endfor %}
{% if it.batch %}{{ fact("launch", "job " ~ (it.batch.job or "none") ~ ", batch " ~ it.batch.id) }}{% endif %}
{% if it.verified %}
{{ fact("verified", (it.verified.signal if it.verified.verified else "no") ~ ": " ~ it.verified.said) }}
{% endif %}
{{ agreed("accepted" if it.commitment and it.commitment.accepted else "not accepted", it.commitment) }}
{{ fact("RTO", figure(it.measured.rto_seconds) ~ ", " ~ it.measured.rto_by) }}
{{ fact("RPO", figure(it.measured.rpo_seconds) ~ ", " ~ it.measured.rpo_by) }}
{{ fact("protected again", protection(it.protected)) }}
</dl>
{% if part.bars %}<h4>Timeline</h4>{{ timeline(part.bars) }}{% endif %}
{{ decisions(it.decisions) }}
{% if it.made %}<h4>Provenance</h4>
<ol class="chain">
<li>client image {{ it.made.image or it.made.image_key or "not known" }}</li>
<li>client disk {{ it.made.client_disk }}</li>
<li>client machine {{ it.made.client_machine }}</li>
<li>disks {{ it.made.disks|join(", ") }}</li>
<li>the server's own machine {{ it.made.machine }}</li>
</ol>{% endif %}
{{ listed("Findings", it.findings) }}
{{ listed("To do", it.advice) }}
{% if it.verified and it.verified.console %}<h4>The end of its console</h4>
<pre>{{ it.verified.console }}</pre>{% endif %}
{% if it.left %}<h4>Left behind</h4>{{ left_behind(it.left) }}{% endif %}
</section>
{% endmacro %}
"""

_BODY = """
{% set outcome = report.outcome %}{% set run = report.history.record if report.history else none %}
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>{{ run.run if run else "A run" }}: {{ outcome.outcome if outcome else "under way" }}</title>
<style>{{ style|safe }}</style>
</head>
<body>
<h1>{{ run.run if run else "A run" }}</h1>
<div class="outcome {{ {"done": "good", "failed": "bad"}[outcome.outcome] if outcome else "" }}">
<strong>{{ outcome.outcome if outcome else "under way" }}</strong>
{% if outcome and outcome.error %}<p>{{ outcome.stage|stage_words }} {{ outcome.error }}</p>
<p>{{ outcome.cause }}</p>{% endif %}
{% for line in report.findings %}<p>{{ line }}</p>{% endfor %}
</div>
{{ listed("To do", report.advice) }}
{% if run %}
<dl>
{{ fact("goal", run.goal) }}{{ fact("target", run.destination) }}{{ fact("home", "" if run.parts else run.home) }}
{{ fact("parts", run.parts|join(", ")) }}
{{ fact("started (UTC)", run.started|moment) }}
{% if run.ended %}{{ fact("ended (UTC)", run.ended|moment) }}
{{ fact("took", (run.ended - run.started).total_seconds()|span) }}{% endif %}
{{ fact("execution", run.execution) }}
{{ fact("tag of all that it made", run_tag ~ "=" ~ run.run) }}
{% if run.request and run.request.resume %}{{ fact("goes on with", run.request.resume) }}{% endif %}
</dl>
{% endif %}
{% if parts %}<h2>Servers</h2>
<table><thead><tr><th>server</th><th>way</th><th>machine</th><th>outcome</th><th class="number">bytes</th>
<th class="number">RTO</th><th class="number">RPO</th><th>protected</th></tr></thead>
<tbody>
{% for part in parts %}{% set it = part.report %}{% set plan = it.record.plan %}
<tr><td><a href="#{{ part.anchor }}">{{ plan.hostname if plan else "" }} {{ it.record.id }}</a></td>
<td>{{ plan.way if plan else "" }}</td><td>{{ plan.own_machine if plan else "" }}</td>
<td>{{ word(it.record.outcome.outcome if it.record.outcome else "under way") }}</td>
<td class="number">{% if it.measured.total %}{{ (it.measured.copied or 0)|amount }} of {{ it.measured.total|amount }}\
{% endif %}</td>
<td class="number">{{ figure(it.measured.rto_seconds) }}</td>
<td class="number">{{ figure(it.measured.rpo_seconds) }}</td>
<td>{{ protection(it.protected) }}</td></tr>
{% endfor %}
</tbody></table>{% endif %}
{% if own_bars %}<h2>Stages of the run</h2>{{ timeline(own_bars) }}{% endif %}
{% if report.provenance %}{% set made = report.provenance %}<h2>Provenance</h2>
<ol class="chain">
{% if made.published %}<li>ISO s3://{{ made.published.bucket }}/{{ made.published.key }}</li>{% endif %}
{% if made.published or made.iso %}<li>SHA-512 <code>{{ (made.published or made.iso).sha512 }}</code></li>{% endif %}
{% if made.iso %}<li>kept as {{ made.iso.key }}, {{ made.iso.size|amount }}</li>{% endif %}
<li>client image <code>{{ made.key }}</code></li>
{% if made.ami %}<li>AMI {{ made.ami.id }} ({{ made.ami.name }}) of snapshot {{ made.ami.snapshot }}</li>{% endif %}
{% if made.export %}<li>exported as {{ made.export.key }}, {{ made.export.size|amount }}</li>{% endif %}
{% if made.image %}<li>image at home {{ made.image.id }}</li>{% endif %}
{% if made.mark %}<li>boot test: {{ made.mark }}</li>{% endif %}
</ol>{% endif %}
{% if report.history and report.history.batches %}<h2>Launches</h2>
<table><thead><tr><th>batch</th><th>at (UTC)</th><th>servers</th><th>job</th><th>came to</th></tr></thead><tbody>
{% for each in report.history.batches %}
<tr><td>{{ each.id }}</td><td>{{ each.at|moment }}</td><td>{{ each.servers|join(", ") }}</td><td>{{ each.job }}</td>
<td>{% if each.refused %}refused: {{ each.refused }}{% elif each.split %}split into smaller ones{% endif %}</td></tr>
{% endfor %}
</tbody></table>{% endif %}
{% if report.history %}{{ decisions(report.history.decisions) }}{% endif %}
{% if report.given_back %}<h2>Given back</h2>
<ul>
{% for each in report.given_back.removed %}<li>{{ each.kind }} {{ each.name }} {{ each.id }} ({{ each.cloud }})</li>
{% endfor %}
{% if report.given_back.more %}<li>and {{ report.given_back.more }} more</li>{% endif %}
</ul>
{% if report.given_back.left %}<h4>Left behind</h4>{{ left_behind(report.given_back.left) }}{% endif %}{% endif %}
{% for part in parts %}{{ server(part) }}{% endfor %}
</body>
</html>
"""

PAGE = (_MACROS + _SERVER + _BODY).strip()

"""What an amendment would make of a live deployment, and whether that can be; and what a signature for it covers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from audit.models import Account, PrintedName
from handoff.asked import carried
from handoff.connections import as_signed_before, misfits, pinned
from handoff.errors import Invalid, WrongState
from handoff.facts import rules_of
from handoff.in_force import bindings_of
from handoff.models import Amendment, Handoff
from handoff.readiness import report_of
from handoff.rules.amendments import ACTS, Change, Given, as_plain, changes, lost, parts_of, proposed, scope_of
from handoff.rules.bindings import read_bindings, streams_in
from handoff.rules.differences import broken
from models_registry.access import find_person
from models_registry.models import Consumer, Stream
from models_registry.rules.consumers import FREE, check_consumer

MOST_CONSUMERS = 50


@dataclass(frozen=True, slots=True)
class Proposal:
    """An amendment that can be: the bindings before and after, the rows of consumers, and what is different."""

    before: dict[str, Any]
    after: dict[str, Any]
    consumers: list[dict[str, Any]]
    changes: tuple[Change, ...]


def given(amendment: Amendment) -> tuple[Given, ...]:
    """Return the signatures that were given for an amendment."""
    rows = amendment.signoffs.all()
    return tuple(Given(one.requirement, one.signer_id, one.behalf_of_id, one.printed_name) for one in rows)


def scope_now(amendment: Amendment, handoff: Handoff) -> dict[str, str]:
    """Return what a signature for an amendment would cover now."""
    return scope_of(
        deployment=str(amendment.deployment_id),
        version=amendment.deployment.digest,
        in_force=bindings_of(handoff),
        bindings=amendment.bindings,
        consumers=amendment.consumers,
        found=amendment.changes,
        required=amendment.requirements,
        reason=amendment.reason,
    )


def owner_of(values: Mapping[str, Any]) -> Account:
    """Return who is to answer for a consumer: by a mark, or as earlier releases kept it by the user name.

    Raises Invalid if they have left meanwhile.
    """
    named = PrintedName.objects.select_related("account").filter(pk=values["owner"]).first()
    return find_person(named.account.username if named else values["owner"])


def checked(
    handoff: Handoff,
    source: str,
    sinks: Sequence[Mapping[str, Any]] | None,
    consumers: Sequence[Mapping[str, Any]],
) -> Proposal:
    """Return what is proposed for a locked, live handoff. Raises Invalid or WrongState that say why it cannot be."""
    before = bindings_of(handoff)
    if not streams_in(before):
        raise WrongState(
            "This deployment answers requests, and runs over no stream that could be changed.",
            code="no_streams",
            todo="How it answers is part of its handoff; hand the version over anew.",
        )
    after = as_signed_before(pinned(read_bindings(proposed(before, source, sinks)), handoff.target), before)
    _check_fit(handoff, before, after)
    streams = {one.slug: one for one in Stream.objects.filter(environment=handoff.target, retired_at=None)}
    rows = _rows(handoff, streams, after, consumers)
    _check_fields(handoff, streams, before, after, rows)
    found = changes(before, after, rows)
    if not found:
        raise Invalid("Nothing would change.", code="nothing_changes", todo="Say what is to be different.")
    _check_policy(handoff, after, found)
    return Proposal(before, after, rows, found)


def _check_fit(handoff: Handoff, before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
    """Refuse streams that do not fit the model, and a source of another schema. Raises Invalid."""
    wrong: dict[str, str | list[str]] = dict(misfits(after, handoff.target, handoff.version))
    old, new = (side["input"]["stream"] for side in (before, after))
    if not wrong and old != new:
        found = {one.slug: one for one in Stream.objects.filter(environment=handoff.target, slug__in=[old, new])}
        if found[old].descriptor.get("schema") != found[new].descriptor.get("schema"):
            wrong["source"] = f"{new} has another schema than {old}; what arrives would not be what was reviewed"
    if wrong:
        raise Invalid(
            "The streams cannot be used like this.",
            code="stream_unusable",
            todo="Name streams that fit the model as it is; another schema takes a handoff.",
            fields=wrong,
        )


def _check_policy(handoff: Handoff, after: Mapping[str, Any], found: Sequence[Change]) -> None:
    """Refuse what the lock policy of the handoff does not leave free. Raises Invalid."""
    touched = parts_of(as_plain(found))
    items = report_of(handoff, rules_of(handoff), bindings=after)
    wrong = {item.key: f"{item.name}: {item.rule}" for item in broken(items) if item.aspect in touched}
    if wrong:
        raise Invalid(
            "The policy does not leave this free: " + "; ".join(wrong.values()),
            code="amendment_breaks_policy",
            todo="Keep inside the rule, or hand over under another policy.",
            fields={**wrong},
        )


def _rows(
    handoff: Handoff,
    streams: Mapping[str, Stream],
    after: Mapping[str, Any],
    consumers: Sequence[Mapping[str, Any]],
) -> list[dict[str, Any]]:
    """Return what is to become of consumers, complete. Raises Invalid with every odd place."""
    if len(consumers) > MOST_CONSUMERS:
        raise Invalid("That is too much at once.", fields={"consumers": f"must be at most {MOST_CONSUMERS}"})
    bound = {one["stream"]: one for one in after["outputs"]}
    rows, wrong = [], dict[str, str | list[str]]()
    for place, given in enumerate(consumers):
        try:
            rows.append(_row(handoff, streams, bound, given))
        except Invalid as refusal:
            wrong |= {f"consumers[{place}].{name}": told for name, told in refusal.fields.items()}
    named = [(row["stream"], row["consumer"]) for row in rows if row["consumer"]]
    if len(set(named)) != len(named):
        wrong["consumers"] = "names a consumer twice"
    if wrong:
        raise Invalid("Say what the consumers are, what they use, and what hangs on them.", fields=wrong)
    return rows


def _row(
    handoff: Handoff, streams: Mapping[str, Stream], bound: Mapping[str, Any], given: Mapping[str, Any]
) -> dict[str, Any]:
    act, slug = given.get("act", "add"), str(given.get("stream", ""))
    if act not in ACTS:
        raise Invalid("", fields={"act": f"must be one of {', '.join(ACTS)}"})
    if slug not in bound or slug not in streams:
        raise Invalid("", fields={"stream": f"{slug or 'nothing'} is no sink of the deployment, as it would be then"})
    values = dict(given.get("values") or {})
    odd = sorted(set(values) - set(FREE))
    if odd:
        raise Invalid("", fields=dict.fromkeys(odd, "is not known"))
    row: dict[str, Any] = {"act": act, "stream": slug, "consumer": "", "values": values}
    if act == "add":
        values |= {"fields": list(values.get("fields") or [])}
        missing = [name for name in FREE if name not in values]
        if missing:
            raise Invalid("", fields=dict.fromkeys(missing, "is missing"))
    else:
        row |= _known(streams[slug], str(given.get("consumer", "")))
    if act == "retire":
        row["values"] = {}
    elif act == "change" and not values:
        raise Invalid("", fields={"values": "says nothing"})
    check_consumer(row["values"], carried(handoff, streams[slug], bound[slug]))
    if "owner" in row["values"]:
        row["values"]["owner"] = find_person(row["values"]["owner"]).mark
    return row


def _known(sink: Stream, name: str) -> dict[str, Any]:
    """Return a consumer of a sink by its name, as it is now. Raises Invalid."""
    found = Consumer.objects.select_related("owner").filter(stream=sink, name=name, retired_at=None).first()
    if found is None:
        raise Invalid("", fields={"consumer": f"{sink.slug} feeds nothing that is called {name or 'like that'}"})
    before = {key: getattr(found, key) for key in FREE if key != "owner"} | {"owner": found.owner.mark}
    return {"consumer": str(found.pk), "revision": found.revision, "before": before}


def _check_fields(
    handoff: Handoff,
    streams: Mapping[str, Stream],
    before: Mapping[str, Any],
    after: Mapping[str, Any],
    rows: Sequence[Mapping[str, Any]],
) -> None:
    """Refuse to take a field away that a consumer goes on to use. Raises WrongState."""
    then = {one["stream"]: one for one in after["outputs"]}
    shrunk = {one["stream"]: one for one in before["outputs"] if one != then.get(one["stream"], one)}
    excepted = {row["consumer"] for row in rows if row["act"] == "retire" or "fields" in row["values"]}
    fed = Consumer.objects.filter(stream__environment=handoff.target, stream__slug__in=shrunk, retired_at=None)
    for one in fed.select_related("stream", "owner"):
        slug = one.stream.slug
        sides = [carried(handoff, streams[slug], told) for told in (shrunk[slug], then[slug])]
        gone = lost(one.fields, *sides)
        if gone and str(one.pk) not in excepted:
            raise WrongState(
                f"{one.name} uses {', '.join(gone)}, which {slug} would carry no more.",
                code="consumer_depends",
                todo=f"Talk to {one.owner.printed_name}, who answers for it; change or retire it in the same way.",
            )

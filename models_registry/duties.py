"""What each role answers for: whether it is understood, documented and enforced. Reads for pages, API and offers."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from django.db.models import Q
from django.utils import timezone

from audit.models import Account
from models_registry.access import environments_visible_to, models_visible_to
from models_registry.models import (
    Consumer,
    DutyAcknowledgement,
    DutyRevision,
    Environment,
    Holding,
    RaciEntry,
    RaciRevision,
    Stream,
)
from models_registry.roles import DUTIES, Role, digest_of_duty
from models_registry.rules.raci import ACTIVITIES, KINDS, USUAL, Entry, gap_of, read

REASSIGNED_WITHIN = timedelta(days=14)


@dataclass(frozen=True, slots=True)
class CurrentDuty:
    """What a role answers for now; revision 0 is the text that comes with the product."""

    role: Role
    number: int
    text: str
    digest: str
    reason: str = ""
    published_at: datetime | None = None

    @property
    def lines(self) -> list[str]:
        """Return the responsibilities, one by one."""
        return self.text.split("\n")


@dataclass(frozen=True, slots=True)
class DutyView:
    """One role in three columns. `acknowledged` and `missing` are names of those who hold it where the reader looks.

    `accountable` are the activities it answers for, `gaps` what stands between that and what the product enforces.
    """

    duty: CurrentDuty
    acknowledged: tuple[str, ...]
    missing: tuple[str, ...]
    accountable: tuple[str, ...]
    enforced: tuple[str, ...]
    gaps: tuple[str, ...]
    mine: bool
    asked: bool

    @property
    def role(self) -> Role:
        """Return the role."""
        return self.duty.role


@dataclass(frozen=True, slots=True)
class Matrix:
    """The RACI matrix that holds now; revision 0 is the one that comes with the product."""

    number: int
    entries: tuple[Entry, ...]
    reason: str = ""
    published_at: datetime | None = None
    accountable: Mapping[tuple[str, str], str] = field(default_factory=dict)


def current_duties() -> dict[Role, CurrentDuty]:
    """Return what each role answers for now, by one query."""
    newest = DutyRevision.objects.order_by("role", "-number").distinct("role")
    published = {row.role: row for row in newest}
    found = {}
    for role in Role:
        row = published.get(role)
        if row is None:
            text = DUTIES[role].text
            found[role] = CurrentDuty(role, 0, text, digest_of_duty(role, text))
        else:
            found[role] = CurrentDuty(role, row.number, row.text, row.digest, row.reason, row.published_at)
    return found


def matrix() -> Matrix:
    """Return the RACI matrix that holds now, by two queries; by one as long as none was published."""
    newest = RaciRevision.objects.order_by("-number").first()
    if newest is None:
        return _matrix(0, read(USUAL))
    rows = RaciEntry.objects.filter(revision=newest).values_list("activity", "kind", "role", "letter")
    return _matrix(newest.number, (Entry(*row) for row in rows), newest)


def _matrix(number: int, entries: Iterable[Entry], row: RaciRevision | None = None) -> Matrix:
    order = {name: place for place, name in enumerate((*ACTIVITIES, *KINDS, *Role.values))}
    found = tuple(sorted(entries, key=lambda one: (order[one.activity], order[one.kind], order[one.role], one.letter)))
    accountable = {(one.activity, one.kind): one.role for one in found if one.letter == "accountable"}
    return Matrix(number, found, row.reason if row else "", row.published_at if row else None, accountable)


def acknowledged_by(people: Collection[int], roles: Iterable[str]) -> set[tuple[int, str]]:
    """Return who of some people has acknowledged the current duty of which role, by two queries."""
    wanted = {(role, duty.digest) for role, duty in current_duties().items() if role in set(roles)}
    rows = DutyAcknowledgement.objects.filter(person__in=people, role__in=[role for role, _ in wanted])
    told = rows.values_list("person", "role", "digest")
    return {(person, role) for person, role, digest in told if (role, digest) in wanted}


def duties_for(reader: Account) -> list[DutyView]:
    """Return every role in three columns, with the holders on what the reader may see, by six queries at most."""
    current, raci = current_duties(), matrix()
    seen = Q(model__in=models_visible_to(reader).values("pk")) | Q(
        environment__in=environments_visible_to(reader).values("pk")
    )
    who = Q(account__is_active=True, account__kind=Account.Kind.PERSON)
    held = set(Holding.objects.filter(who, seen | Q(account=reader)).values_list("role", "account"))
    people = {account.pk: account for account in Account.objects.filter(pk__in={person for _, person in held})}
    acknowledged = acknowledged_by(list(people), Role.values)
    return [_view(role, current[role], raci, held, people, acknowledged, reader) for role in Role]


def _view(
    role: Role,
    duty: CurrentDuty,
    raci: Matrix,
    held: set[tuple[str, int]],
    people: Mapping[int, Account],
    acknowledged: set[tuple[int, str]],
    reader: Account,
) -> DutyView:
    holders = sorted((people[person].printed_name, person) for name, person in held if name == role)
    has = [name for name, person in holders if (person, role) in acknowledged]
    lacks = [name for name, person in holders if (person, role) not in acknowledged]
    answers = list(dict.fromkeys(activity for (activity, _), who in raci.accountable.items() if who == role))
    gaps = [f"{ACTIVITIES[name].title}: {gap}" for name in answers if (gap := gap_of(name, role))]
    held_to = [ACTIVITIES[name].held for name in answers if not gap_of(name, role)]
    mine = (role, reader.pk) in held
    return DutyView(
        duty=duty,
        acknowledged=tuple(has),
        missing=tuple(lacks),
        accountable=tuple(ACTIVITIES[name].title for name in answers),
        enforced=tuple(held_to),
        gaps=tuple(gaps),
        mine=mine,
        asked=mine and (reader.pk, role) not in acknowledged,
    )


@dataclass(frozen=True, slots=True)
class Left:
    """Something that somebody who has left still answers for, until when it is to be somebody else's."""

    kind: str
    slug: str
    what: str
    who: str
    due: date
    late: bool


def to_reassign(reader: Account) -> list[Left]:
    """Return what people who have left still own or hold on what the reader may see, by four queries.

    Environments, streams and consumers have an owner; roles are held by a grant. Each is due two weeks after they left.
    """
    places, models = environments_visible_to(reader).values("pk"), models_visible_to(reader).values("pk")
    gone = {"owner__is_active": False}
    found = [
        _left("environment", place.slug, f"the environment {place.name}", place.owner)
        for place in Environment.objects.filter(pk__in=places, **gone).select_related("owner")
    ]
    streams = Stream.objects.filter(environment__in=places, retired_at=None, **gone)
    found += [
        _left("environment", one.environment.slug, f"the stream {one.slug} in {one.environment.name}", one.owner)
        for one in streams.select_related("environment", "owner")
    ]
    consumers = Consumer.objects.filter(stream__environment__in=places, retired_at=None, **gone)
    found += [
        _left("environment", one.stream.environment.slug, f"the consumer {one.name} of {one.stream.slug}", one.owner)
        for one in consumers.select_related("stream__environment", "owner")
    ]
    seen = Q(model__in=models) | Q(environment__in=places)
    held = Holding.objects.filter(seen, account__is_active=False, behalf=None)
    for one in held.select_related("account", "model", "environment"):
        kind, thing = one.on
        found.append(_left(kind, thing.slug, f"the role {Role(one.role).label} on {thing}", one.account))
    return sorted(found, key=lambda one: (one.due, one.who, one.what))


def _left(kind: str, slug: str, what: str, who: Account) -> Left:
    due = timezone.localdate(who.left_at or timezone.now()) + REASSIGNED_WITHIN
    return Left(kind, slug, what, who.printed_name, due, due < timezone.localdate())


@dataclass(frozen=True, slots=True)
class MatrixRow:
    """An activity in some kinds of environment, with a cell for each role."""

    title: str
    kinds: str
    cells: tuple[str, ...]


def rows_of(raci: Matrix) -> list[MatrixRow]:
    """Return the matrix as people read it; kinds of environment with the same letters share a row."""
    letters: dict[tuple[str, str], dict[str, str]] = {}
    for one in raci.entries:
        cell = letters.setdefault((one.activity, one.kind), {})
        cell[one.role] = cell.get(one.role, "") + one.letter[0].upper()
    rows = []
    for activity, known in ACTIVITIES.items():
        alike: dict[tuple[str, ...], list[str]] = {}
        for kind in KINDS:
            cells = letters.get((activity, kind), {})
            alike.setdefault(tuple("".join(sorted(cells.get(role, ""))) for role in Role), []).append(kind)
        rows += [
            MatrixRow(known.title, "" if len(kinds) == len(KINDS) else ", ".join(kinds), cells)
            for cells, kinds in alike.items()
        ]
    return rows

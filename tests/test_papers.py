"""The papers say what the code says: moves, settings, options, processes, codes, metrics, links, targets and tests."""

import argparse
import ast
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.apps import apps
from django.db import DatabaseError, connection, models, transaction
from django.urls import resolve

from engine import command, counters
from handoff.rules import least_thresholds, policy_reader, policy_windows
from handoff.rules.policies import understood
from handoff.states import AMENDMENT_MOVES, BREAK_GLASS_MOVES, DEPLOYMENT_MOVES, JOB_MOVES, MOVES
from mdlc_site import metrics
from models_registry.states import MOVES as VERSION_MOVES
from tests.handoff import walking

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
PAPERS = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md")])
PACKAGES = ("audit", "models_registry", "handoff", "mdlc_site", "engine")
OPERATIONS = (DOCS / "operations.md").read_text()
CODE = re.compile(r"`([a-z][a-z0-9_]*)`")


def part(text: str, heading: str) -> str:
    """Return what stands below a heading, up to the next one of its level or above."""
    level = heading.split(" ")[0]
    found = re.search(rf"^{re.escape(heading)}$(.*?)(?=^#{{1,{len(level)}}} |\Z)", text, re.MULTILINE | re.DOTALL)
    assert found, f"There is no heading {heading}."
    return found.group(1)


def table(text: str, first: str) -> list[list[str]]:
    """Return the rows of the table whose first column has a title."""
    lines = iter(text.splitlines())
    next(line for line in lines if line.startswith(f"| {first} |"))
    next(lines)
    rows = []
    for line in lines:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip("|"))])
    return rows


def trees() -> Iterator[tuple[Path, ast.Module]]:
    """Give every module of ours, parsed."""
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            if "migrations" not in path.parts:
                yield path, ast.parse(path.read_text())


# States


@pytest.mark.parametrize(
    ("heading", "moves", "model"),
    [
        ("## Handoff", MOVES, "handoff.Handoff"),
        ("## Job", JOB_MOVES, "handoff.Job"),
        ("## Deployment", DEPLOYMENT_MOVES, "handoff.Deployment"),
        ("## Amendment", AMENDMENT_MOVES, "handoff.Amendment"),
        ("## Break-glass", BREAK_GLASS_MOVES, "handoff.BreakGlass"),
        ("## Version", VERSION_MOVES, "models_registry.ModelVersion"),
    ],
)
def test_each_diagram_draws_exactly_the_moves(heading: str, moves: Mapping[Any, Any], model: str) -> None:
    text = part((DOCS / "states.md").read_text(), heading)
    drawn = re.findall(r"^    (\S+) --> (\S+)$", text, re.MULTILINE)
    assert len(drawn) == len(set(drawn))
    first = apps.get_model(model)._meta.get_field("state")
    assert isinstance(first, models.Field)
    expected = {("[*]", str(first.default.value))}
    expected |= {(came.value, to.value) for came, targets in moves.items() for to in targets}
    expected |= {(state.value, "[*]") for state, targets in moves.items() if not targets}
    assert set(drawn) == expected


# Settings, options, processes, metrics


LISTS = {"urls", "addresses", "fernet_keys"}
READERS = LISTS | {"text", "flag", "number", "names", "one_of", "env.db_url"}


def settings_read() -> dict[str, Any]:
    """Return every variable that the settings read, with its default; None where there is none."""
    found: dict[str, Any] = {}
    for node in ast.walk(ast.parse((ROOT / "mdlc_site" / "settings.py").read_text())):
        if not isinstance(node, ast.Call) or not node.args or not isinstance(node.args[0], ast.Constant):
            continue
        if ast.unparse(node.func) not in {
            "text",
            "flag",
            "number",
            "names",
            "urls",
            "addresses",
            "one_of",
            "fernet_keys",
            "env.db_url",
        }:
            continue
        given = [*node.args[1:2], *(keyword.value for keyword in node.keywords if keyword.arg == "default")]
        default = (
            _value(given[0])
            if given
            else ""
            if ast.unparse(node.func) in ("urls", "addresses", "fernet_keys")
            else None
        )
        found[str(node.args[0].value)] = default
    return found


def _value(node: ast.expr) -> str:
    """Return a default as it is written in an environment; a path below the project's folder is relative."""
    value = eval(ast.unparse(node), {"__builtins__": {"str": str}, "BASE_DIR": Path()})
    return str(value).lower() if isinstance(value, bool) else str(value)


def told(cell: str) -> str | None:
    """Return a default as the papers write it."""
    if cell.startswith("none"):
        return None
    return "" if cell == "empty" else cell.strip("`")


def test_every_setting_is_in_operations_with_its_default() -> None:
    rows = table(part(OPERATIONS, "## Settings"), "variable")
    assert {row[0].strip("`"): told(row[1]) for row in rows} == settings_read()
    assert len(rows) == len({row[0] for row in rows})


def test_every_setting_is_in_the_example() -> None:
    example = set(re.findall(r"^(?:# )?([A-Z_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))
    assert example == settings_read().keys() | {"POSTGRES_PASSWORD"}


def test_every_variable_of_ours_that_is_read_anywhere_is_in_operations() -> None:
    named = set()
    for path, tree in trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                named |= {(name, path.name) for name in re.findall(r"^MDLC_[A-Z_]*[A-Z]$", node.value)}
    assert len(named) > 10
    assert [name for name, _ in sorted(named) if f"`{name}`" not in OPERATIONS] == []


def test_every_option_of_the_engine_is_in_operations_with_its_default(monkeypatch: pytest.MonkeyPatch) -> None:
    parsers: list[argparse.ArgumentParser] = []
    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", lambda self, given=None: parsers.append(self))
    command.arguments([])
    options = {
        action.option_strings[0]: None if action.required else str(action.default)
        for action in parsers[0]._actions
        if action.dest != "help"
    }
    rows = table(part(OPERATIONS, "## Settings"), "option of `python -m engine`")
    assert {row[0].strip("`"): told(row[1]) for row in rows} == options


def test_every_process_is_in_operations() -> None:
    procfile = re.findall(r"^([a-z-]+):", (ROOT / "Procfile").read_text(), re.MULTILINE)
    rows = table(part(OPERATIONS, "## The processes"), "process")
    assert {row[0].strip("`") for row in rows} == set(procfile)


def test_every_metric_is_in_operations() -> None:
    rows = table(part(OPERATIONS, "## Health, metrics, logs"), "metric")
    assert {name for row in rows for name in CODE.findall(row[0])} == {*counters._HELP, *metrics.HELP}


# Codes


def codes_in_the_code() -> set[str]:
    """Return every code that a refusal can carry: of classes, of arguments, and of the engine's errors."""
    found: set[str] = set()
    for _, tree in trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                values = [
                    s.value for s in node.body if isinstance(s, ast.Assign) and ast.unparse(s.targets[0]) == "code"
                ]
            elif isinstance(node, ast.Call):
                name = ast.unparse(node.func).rpartition(".")[2]
                first = name.endswith("Error") or name in {"Refusal", "Finding", "Unsafe", "_error"}
                values = [keyword.value for keyword in node.keywords if keyword.arg == "code"]
                values += node.args[:1] if first and len(node.args) > 1 else []
            else:
                continue
            texts = {v.value for v in values if isinstance(v, ast.Constant) and isinstance(v.value, str)}
            found |= {text for text in texts if re.fullmatch(r"[a-z][a-z_]+", text)}
    return found


# What an executor's error means for the handoff: reasons of a return, which nobody is answered.
REASONS = {"security", "operability", "contract_breach"}
# The engine's own answer to its own mistake, written without an error class.
WRITTEN_OUT = {"internal_error"}


def test_every_code_is_listed_and_every_listed_code_exists() -> None:
    text = (DOCS / "errors.md").read_text()
    rows = [
        row
        for heading in ("## Site", "## Elements of a version", "## Engine", "## Streams and captures")
        for row in table(part(text, heading), "code")
    ]
    listed = [row[0].strip("`") for row in rows]
    assert set(listed) == codes_in_the_code() - REASONS | WRITTEN_OUT
    assert sorted(listed) == sorted(set(listed))


def test_the_codes_of_the_trouble_shooting_exist() -> None:
    rows = table(part(OPERATIONS, "## Troubleshooting by code"), "code")
    assert {code for row in rows for code in CODE.findall(row[0])} <= codes_in_the_code()


# Links, targets, tests, addresses, decisions


def anchors_of(paper: Path) -> set[str]:
    """Return the anchors that a paper's headings get."""
    headings = re.findall(r"^#+ (.*)$", paper.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("paper", PAPERS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_leads_somewhere(paper: Path) -> None:
    text = re.sub(r"^```.*?^```", "", paper.read_text(), flags=re.MULTILINE | re.DOTALL)
    broken = []
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if link.startswith(("http://", "https://", "mailto:")):
            continue
        name, _, anchor = link.partition("#")
        target = (paper.parent / name).resolve() if name else paper
        if not target.exists() or (anchor and anchor not in anchors_of(target)):
            broken.append(link)
    assert broken == []


def test_every_make_target_that_is_named_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {name for paper in PAPERS for name in re.findall(r"`make ([a-z-]+)", paper.read_text())}
    assert named <= targets
    assert targets <= set(re.findall(r"^\| `make ([a-z-]+)` ", (ROOT / "CONTRIBUTING.md").read_text(), re.MULTILINE))


def test_every_test_that_is_named_exists() -> None:
    known = {
        name for path in (ROOT / "tests").rglob("test_*.py") for name in re.findall(r"def (test_\w+)", path.read_text())
    }
    named = {name for paper in PAPERS for name in re.findall(r"`(test_\w+)`", paper.read_text())}
    assert len(named) > 80
    assert named - known == set()


def test_every_address_of_the_api_that_is_named_exists() -> None:
    named = {path for paper in PAPERS for path in re.findall(r"(/api/v1/[a-z0-9/-]*)", paper.read_text())}
    assert len(named) > 4
    for path in named - {"/api/v1/"}:
        resolve(path)


def test_every_file_that_is_named_exists() -> None:
    """Names in backquotes that begin with a folder of ours, such as `handoff/states.py`."""
    folders = "|".join([*PACKAGES, "docs", "tests", "templates", "static", "benchmarks"])
    missing = [
        (paper.name, name)
        for paper in PAPERS
        for name in re.findall(rf"`((?:{folders})/[\w./-]+)`", paper.read_text())
        if not (ROOT / name).exists() and "KIND" not in name
    ]
    assert missing == []


def test_decisions_are_numbered_told_alike_and_listed() -> None:
    pages = sorted((DOCS / "adr").glob("[0-9]*.md"))
    assert [int(page.name[:4]) for page in pages] == list(range(1, len(pages) + 1))
    index = (DOCS / "adr" / "README.md").read_text()
    for page in pages:
        text = page.read_text()
        number, _, title = text.splitlines()[0].removeprefix("# ").partition(". ")
        assert f"| {number} | [{title}]({page.name}) |" in index
        assert re.findall(r"^## (.*)$", text, re.MULTILINE) == ["Context", "Decision", "Consequences", "Alternatives"]


def test_the_changelog_and_the_api_tell_one_version() -> None:
    released = re.findall(
        r"^## \[(\d+\.\d+\.\d+)\] - \d{4}-\d\d-\d\d$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE
    )
    project = re.search(r'^version = "(.*)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    described = yaml.safe_load((DOCS / "openapi.yaml").read_text())["info"]["version"]
    assert project is not None
    assert released[0] == project.group(1) == described


# The role of the application, as operations.md makes it

APPEND_ONLY = (
    "audit_auditevent",
    "audit_treeleaf",
    "audit_treenode",
    "audit_treehead",
    "handoff_policyrevision",
    "handoff_answer",
    "handoff_evidence",
    "handoff_acknowledgement",
    "handoff_amendmentsignoff",
    "handoff_askedconsumer",
    "handoff_condition",
    "handoff_conditionstep",
    "handoff_decision",
    "handoff_promotiontest",
    "handoff_return",
    "models_registry_environmentprofile",
)


@pytest.fixture
def as_the_application(db: None) -> Iterator[None]:
    """Make the role by the statements of the paper, and become it; the transaction undoes both."""
    found = re.search(r"<!-- tested: .*? -->\n```sql\n(.*?)```", OPERATIONS, re.DOTALL)
    assert found
    with connection.cursor() as cursor:
        cursor.execute(found.group(1))
        cursor.execute("SET LOCAL ROLE mdlc_app")
    yield
    with connection.cursor() as cursor:
        cursor.execute("RESET ROLE")


def test_the_role_of_the_application_is_enough_for_the_work(as_the_application: None) -> None:
    handoff = walking.under_test(walking.a_site())
    assert handoff.state == "testing"
    assert handoff.jobs.count() == 7
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_user, (SELECT count(*) FROM audit_auditevent)")
        who, events = cursor.fetchone()
    assert who == "mdlc_app"
    assert events > 10


def attacks() -> Iterator[str]:
    """Give the statements that somebody with the application's password would try."""
    for name in APPEND_ONLY:
        yield f"TRUNCATE {name} CASCADE"
        yield f"DELETE FROM {name}"
        yield f"ALTER TABLE {name} DISABLE TRIGGER ALL"
        yield f"DROP TABLE {name} CASCADE"
        key = {"audit_treeleaf": "place", "audit_treehead": "size"}.get(name, "id")
        yield f"UPDATE {name} SET {key} = {key}"
    yield "ALTER TABLE audit_auditevent OWNER TO mdlc_app"
    yield "SET session_replication_role = replica"
    yield "CREATE OR REPLACE FUNCTION pgtrigger_chain_6c7ff() RETURNS trigger LANGUAGE sql AS 'SELECT NULL'"
    yield "ALTER SEQUENCE handoff_fence RESTART WITH 1"


@pytest.mark.parametrize("statement", list(attacks()))
def test_the_role_of_the_application_cannot_touch_the_trail(as_the_application: None, statement: str) -> None:
    with pytest.raises(DatabaseError, match=r"permission denied|must be owner"), transaction.atomic():
        connection.cursor().execute(statement)


# Policies


def test_the_example_in_the_paper_of_policies_is_one_and_has_every_key() -> None:
    paper = (DOCS / "policies.md").read_text()
    (example,) = re.findall(r"^```yaml\n(.*?)^```", paper, re.MULTILINE | re.DOTALL)
    content, _ = understood(example)
    keys = {*policy_reader.KEYS, *policy_reader.APPLIES_KEYS, *policy_reader.GATE_KEYS, *policy_reader.SIGNOFF_KEYS}
    keys |= {*policy_reader.QUORUM_KEYS, *policy_reader.ASPECT_KEYS, *policy_reader.CASE_KEYS}
    keys |= {*least_thresholds.THRESHOLD_KEYS}
    keys |= {*policy_windows.WINDOW_KEYS, *policy_windows.OPENING_KEYS, *policy_windows.FREEZE_KEYS}
    assert keys <= set(keys_in(content))


def keys_in(content: Any) -> Iterator[str]:
    """Give every key of plain data."""
    if isinstance(content, Mapping):
        yield from content
        yield from (key for value in content.values() for key in keys_in(value))
    elif isinstance(content, list):
        yield from (key for value in content for key in keys_in(value))


def test_no_comment_of_a_template_is_shown_to_people() -> None:
    """Django ends such a comment with its line; what goes on over two is text on the page."""
    lines = [
        (path.name, line)
        for path in (ROOT / "templates").rglob("*.html")
        for line in path.read_text().splitlines()
        if line.count("{#") != line.count("#}")
    ]
    assert lines == []

"""Which statements each test reaches, and how long it takes: found once, by a call before each statement, and kept."""

import ast
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from tests.mutants.changes import Function, functions, named
from tests.mutants.placing import ROOT, Functions

KEPT = ROOT / "var" / "mutants" / "reached.json"
TOLD = "__reached__"
BLOCKS = ("body", "orelse", "finalbody")


@dataclass
class Reached:
    """What is known of tests: the file as it was, the seconds, and the numbers of the statements; none if it failed."""

    names: dict[str, int] = field(default_factory=dict)
    tests: dict[str, tuple[str, float, list[int]]] = field(default_factory=dict)

    @classmethod
    def kept(cls, place: Path) -> "Reached":
        """Return what was found before."""
        if not place.exists():
            return cls()
        told = json.loads(place.read_text())
        return cls({name: at for at, name in enumerate(told["names"])}, told["tests"])

    def keep(self, place: Path) -> None:
        """Keep it for the next time."""
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(json.dumps({"names": list(self.names), "tests": self.tests}))

    def knows(self, test: str, path: Path) -> bool:
        """Tell whether a test is known as its file is now."""
        return test in self.tests and self.tests[test][0] == digest(path)

    def by_statement(self, among: Iterable[str]) -> dict[str, list[str]]:
        """Return the tests that reach each statement, and those that reach any of a function: `module:function:`."""
        numbered = list(self.names)
        found: dict[str, dict[str, None]] = {}
        for test in among:
            for at in self.tests[test][2]:
                name = numbered[at]
                found.setdefault(name, {})[test] = None
                module, function, _ = name.split(":", 2)
                found.setdefault(f"{module}:{function}:", {})[test] = None
        return {name: list(tests) for name, tests in found.items()}


class Marks:
    """Calls before the statements of all functions, that say which are reached."""

    def __init__(self, live: Functions, reached: Reached) -> None:
        """Put the calls in place."""
        self.live, self.reached, self.seen = live, reached, set[int]()
        for module, source in live.sources.items():
            tree = ast.parse(source)
            for name, function in functions(tree):
                self._mark(module, name, function)
            setattr(live.modules[module], TOLD, self.seen.add)
            live.put(module, ast.fix_missing_locations(tree))
        live.forget()

    def take(self) -> list[int]:
        """Return what was reached since the last time."""
        found = sorted(self.seen)
        self.seen.clear()
        return found

    def remove(self) -> None:
        """Put the functions back as they were."""
        for module in self.live.sources:
            self.live.restore(module)

    def _mark(self, module: str, function: str, node: Function) -> None:
        for holder in list(ast.walk(node)):
            for block in BLOCKS:
                body = getattr(holder, block, None)
                if isinstance(body, list) and body and isinstance(body[0], ast.stmt):
                    setattr(holder, block, [new for one in body for new in self._marked(module, function, one)])

    def _marked(self, module: str, function: str, statement: ast.stmt) -> list[ast.stmt]:
        if isinstance(statement, ast.Global | ast.Nonlocal):
            return [statement]
        if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
            return [statement]  # a docstring stays the first
        number = self.reached.names.setdefault(named(module, function, statement), len(self.reached.names))
        call = ast.Call(ast.Name(TOLD, ast.Load()), [ast.Constant(number)], [])
        return [ast.copy_location(ast.Expr(call), statement), statement]


def digest(path: Path) -> str:
    """Return what tells one text of a file from another."""
    return sha256(path.read_bytes()).hexdigest()[:16]

"""Run every test that the table of attacks names, and tell how many attacks were tried at how many doors."""

import subprocess
import sys

from tests.attacks.table import ATTACKS, DOORS, TESTS, named_in


def main() -> int:
    """Run pytest on the tests that are named; print the figures where all of them passed."""
    named = sorted({f"{TESTS.name}/{name}" for row in ATTACKS.values() for name in named_in(row)})
    command = [sys.executable, "-m", "pytest", "-n", "2", "--dist", "loadfile", *sys.argv[1:], *named]
    code = subprocess.run(command, cwd=TESTS.parent, check=False).returncode
    if code == 0:
        print(figures(len(named)))
    return code


def figures(tests: int) -> str:
    """Return in words what was tried."""
    tried = {door: sum(isinstance(row.get(door), list) for row in ATTACKS.values()) for door in (*DOORS, "database")}
    told = ", ".join(f"{door} {count}" for door, count in tried.items())
    return f"{len(ATTACKS)} attacks, at {sum(tried.values())} doors by {tests} tests ({told}): all refused"


if __name__ == "__main__":
    raise SystemExit(main())

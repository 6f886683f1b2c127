"""Change the guards one at a time and tell which changes no test notices."""

import argparse
from pathlib import Path

import pytest

from tests.mutants.trying import Trying, Wanted

TESTS = ("tests/handoff", "tests/audit", "tests/models_registry", "tests/site", "tests/attacks", "tests/streams")
QUIET = ("-p", "no:xdist", "-p", "no:cacheprovider", "-s", "--tb=native", "-m", "not browser and not processes")
TIDY = (
    "-o",
    "tmp_path_retention_policy=none",
    "-W",
    "ignore:Module already imported:pytest.PytestAssertRewriteWarning",
)


def main() -> int:
    """Collect the tests and try the changes."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("--mutants", type=int, default=0, help="so many, drawn by chance; all if not given")
    parser.add_argument("--draw", type=int, default=2026, help="the number that they are drawn by")
    parser.add_argument("--only", default="", help="modules, packages or areas, with commas between them")
    parser.add_argument("--tests", default=",".join(TESTS), help="where the tests are")
    parser.add_argument("--seconds", type=float, default=Wanted.seconds, help="so long for the tests of one change")
    parser.add_argument("--again", action="store_true", help="try only what nobody noticed the last time")
    parser.add_argument("--areas", type=Path, default=Wanted.areas, help="the file that says what is changed")
    parser.add_argument("--kept", type=Path, default=Wanted.kept, help="where what tests reach is kept")
    told = parser.parse_args()
    only = tuple(told.only.split(",")) if told.only else ()
    trying = Trying(Wanted(told.areas, told.kept, only, told.mutants, told.draw, told.seconds, told.again))
    code = int(pytest.main([*QUIET, *TIDY, *told.tests.split(",")], plugins=[trying]))
    return code or int(not trying.goals_met())


if __name__ == "__main__":
    raise SystemExit(main())

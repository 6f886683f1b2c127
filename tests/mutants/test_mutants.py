"""The runner finds what is not tried, and only that; what is said to change nothing is still there to be changed."""

import subprocess
import sys
from pathlib import Path

from tests.mutants.changes import changes
from tests.mutants.placing import Functions, modules
from tests.mutants.sample import guarded
from tests.mutants.trying import Wanted, areas_in, chosen, equivalents

HERE = Path(__file__).parent
SAMPLE = "tests.mutants.sample.guarded"
FOUND = {
    "survived": {
        ("half_tried", "Gt → GtE"),
        ("half_tried", "never"),
        ("half_tried", "100 → 101"),
    },
    "unreached": {
        ("told", "return None"),  # runs when the module is imported, before anything can be changed
        ("untried", "return None"),
        ("untried", "Mult → FloorDiv"),
        ("untried", "2 → 3"),
    },
}


def test_what_is_tried_is_noticed_and_what_is_not_survives(tmp_path: Path) -> None:
    """Run it on a sample whose gaps are known; among what is noticed is what is wrapped, and what is remembered."""
    told = ["--areas", str(HERE / "sample" / "areas.toml"), "--tests", str(HERE / "sample" / "tried.py")]
    command = [sys.executable, "-m", "tests.mutants", *told, "--kept", str(tmp_path / "reached.json")]
    ran = subprocess.run(command, cwd=HERE.parents[1], capture_output=True, text=True, timeout=120, check=False)
    found: dict[str, set[tuple[str, str]]] = {}
    for line in ran.stdout.splitlines():
        verdict, _, rest = line.partition(" ")
        if "sample/guarded.py:" in rest:
            change, _, after = rest.split(": ", 1)[1].partition(" in ")
            found.setdefault(verdict, set()).add((after.partition(":")[0], change))
    assert found == FOUND, ran.stdout + ran.stderr
    total = len(changes(SAMPLE, (HERE / "sample" / "guarded.py").read_text()))
    assert f"{total - 7} of {total} noticed; 3 survived, 4 unreached" in ran.stdout
    assert ran.returncode == 1  # below the goal


def test_a_change_is_seen_by_whoever_has_the_function_and_goes_again() -> None:
    """Change what is wrapped by a decorator and what is remembered, in this process, and put it back."""
    live = Functions(modules({SAMPLE: []}))
    by_change = {(one.function, one.change): one for one in changes(SAMPLE, live.sources[SAMPLE])}
    assert (guarded.tried(1), guarded.tried(13), guarded.remembered(3)) == (2, 0, False)
    try:
        for change in [("tried", "1 → 2"), ("told", "NotEq → Eq"), ("remembered", "Lt → LtE")]:
            assert live.change(by_change[change])
        live.change(by_change["tried", "1 → 2"])
        assert (guarded.tried(1), guarded.tried(13), guarded.remembered(3)) == (0, 15, True)
    finally:
        live.restore(SAMPLE)
    assert (guarded.tried(1), guarded.tried(13), guarded.remembered(3)) == (2, 0, False)


def test_each_change_that_changes_nothing_is_one_that_is_made() -> None:
    """A row of the file outlives no line that it speaks of; and it says why."""
    rows = equivalents()
    files = modules(areas_in(HERE / "areas.toml")["packages"])
    made = {one.key for name in {row[0] for row in rows} for one in changes(name, files[name].read_text())}
    assert sorted(set(rows) - made) == []
    assert all(len(why) > 20 for why in rows.values())


def test_every_change_is_either_critical_or_elsewhere() -> None:
    areas = areas_in(HERE / "areas.toml")
    live = Functions(modules(areas["packages"]))
    of = {one: set(chosen(live, Wanted(only=(one,)), areas)) for one in ("critical", "elsewhere", "chain", "audit")}
    assert not of["critical"] & of["elsewhere"]
    assert of["critical"] | of["elsewhere"] == set(chosen(live, Wanted(), areas))
    assert of["chain"] < of["critical"] & of["audit"]


def test_the_critical_modules_are_there() -> None:
    """A module that is renamed stays critical."""
    areas = areas_in(HERE / "areas.toml")
    files = modules(areas["packages"])
    assert [name for listed in areas["critical"].values() for name in listed if name not in files] == []

"""The matrix and the code agree: every cell has its points, every point its cell, and each kind of flow is known."""

import ast
from pathlib import Path

from tests.faults.breaking import BREAKS
from tests.faults.cells import FAULTS, MOMENTS, cells
from tests.faults.flows import FLOWS

ROOT = Path(__file__).resolve().parent.parent.parent
PACKAGES = ("audit", "models_registry", "handoff", "mdlc_site", "engine")


def points_in_code() -> list[str]:
    """Return the names of all fault points, as often as they are there."""
    found = []
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("fault_point"):
                    name = node.args[0]
                    assert isinstance(name, ast.Constant), f"{path} names a point that cannot be found by reading"
                    found.append(str(name.value))
    return found


def test_no_cell_is_without_a_point_and_no_point_without_a_cell() -> None:
    points = points_in_code()
    assert sorted(points) == sorted(set(points))
    assert {point for one in cells() for point in one.points} == set(points)


def test_the_matrix_has_its_107_cells_once_each() -> None:
    named = [one.id for one in cells()]
    assert len(named) == len(set(named)) == 107
    assert {one.fault for one in cells()} == FAULTS.keys() == BREAKS.keys()
    assert {one.moment for one in cells()} == MOMENTS.keys()
    assert {one.flow for one in cells()} == FLOWS.keys()

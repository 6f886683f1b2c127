"""What is vendored is exactly what is listed: in which version, from where, under which licence, with which bytes."""

import ast
import json
import re
from hashlib import sha256
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
VENDOR = ROOT / "static" / "vendor"
OURS = {"assets.json", "refresh.py"}
ASSETS: list[dict[str, str]] = json.loads((VENDOR / "assets.json").read_text())
GRANT = "Permission"  # both licences, MIT and 0BSD, begin to speak with this word


def test_every_file_is_listed_once_and_nothing_else_is_there() -> None:
    paths = (path for path in VENDOR.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    files = sorted(str(path.relative_to(VENDOR)) for path in paths)
    assert sorted([*(asset["file"] for asset in ASSETS), *OURS]) == files


@pytest.mark.parametrize("asset", ASSETS, ids=lambda asset: asset["file"])
def test_the_bytes_are_those_that_are_listed(asset: dict[str, str]) -> None:
    assert sha256((VENDOR / asset["file"]).read_bytes()).hexdigest() == asset["sha256"]
    assert asset["version"] in asset["source"] or "LICENSE" in asset["source"]


@pytest.mark.parametrize("name", sorted({asset["name"] for asset in ASSETS}))
def test_every_package_brings_its_licence(name: str) -> None:
    texts = [
        (VENDOR / asset["file"]).read_text()
        for asset in ASSETS
        if asset["name"] == name and Path(asset["file"]).name == "LICENSE"
    ]
    assert len(texts) == 1
    assert GRANT in texts[0]


def test_the_list_holds_the_versions_that_are_fetched() -> None:
    tree = ast.parse((VENDOR / "refresh.py").read_text())
    packages = next(
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "PACKAGES"
    )
    fetched = {(name, version, licence) for name, (version, licence, _) in packages.items()}
    assert {(asset["name"], asset["version"], asset["licence"]) for asset in ASSETS} == fetched


def test_no_page_fetches_anything_from_elsewhere() -> None:
    """A link that a person follows is fine; what a browser fetches by itself must be ours."""
    fetched = re.compile(r"""(?:\bsrc|<link[^>]*\bhref)\s*=\s*["'](?:https?:)?//|url\(\s*["']?(?:https?:)?//""")
    pages = [*(ROOT / "templates").rglob("*.html"), *(ROOT / "static" / "mdlc").iterdir()]
    pages += [path for path in VENDOR.rglob("*") if path.suffix in {".css", ".js"}]
    assert len(pages) > 50
    assert [str(path.relative_to(ROOT)) for path in pages if fetched.search(path.read_text())] == []

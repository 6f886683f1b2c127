"""The engine runs alone: with the packages of its own requirements, and none of the rest of the project."""

import importlib.metadata
import re
import subprocess
import sys
import textwrap

from engine.runner import ROOT
from tests.engine.conftest import Trained

# What a process may import is decided in it, so that everything else is missing there as it would be elsewhere.
PROGRAM = """
    import importlib.abc, pkgutil, sys

    MISSING = set(sys.argv[1].split(","))

    class Missing(importlib.abc.MetaPathFinder):
        def find_spec(self, name, path=None, target=None):
            if name.partition(".")[0] in MISSING:
                raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    sys.meta_path.insert(0, Missing())
    for gone in ("django", "celery", "rest_framework", "handoff", "audit", "models_registry", "mdlc_site"):
        try:
            __import__(gone)
        except ModuleNotFoundError:
            continue
        raise SystemExit(f"{gone} can be imported")

    import engine
    for module in pkgutil.walk_packages(engine.__path__, "engine."):
        if not module.name.endswith("__main__"):
            __import__(module.name)

    from pathlib import Path
    from engine.formats import open_model
    from engine.formats.onnx import infer_schemas
    from engine.schemas import Schema
    from engine.scan import scan

    for format, path in zip(("onnx", "skops"), map(Path, sys.argv[2:])):
        assert scan(path, format).ok, scan(path, format)
        inputs, outputs, _ = infer_schemas(Path(sys.argv[2]))
        model = open_model(path, format, inputs, outputs)
        import numpy
        print(format, *model.predict_packed(numpy.array([[14.0, 20.0, 90.0], [28.0, 30.0, 190.0]]))["label"].tolist())
"""


def locked(file: str) -> dict[str, str]:
    """Return the versions in a lock file by the names of the packages."""
    pins = re.findall(r"^([A-Za-z0-9._-]+)==(\S+)", (ROOT / file).read_text(), re.MULTILINE)
    return {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in pins}


def missing() -> set[str]:
    """Return the packages that are not there when only the engine's own lock file is installed."""
    wanted = locked("engine/requirements.txt")
    installed = importlib.metadata.packages_distributions()
    foreign = {
        module
        for module, names in installed.items()
        if not any(re.sub(r"[-_.]+", "-", name).lower() in wanted for name in names)
    }
    return foreign | {"audit", "handoff", "mdlc_site", "models_registry", "tests"}


def test_the_engine_needs_nothing_but_its_own_requirements(classifier: Trained) -> None:
    files = [str(getattr(classifier, format)) for format in ("onnx", "skops")]
    command = [sys.executable, "-W", "ignore", "-c", textwrap.dedent(PROGRAM), ",".join(sorted(missing())), *files]
    done = subprocess.run(command, cwd=ROOT, env={}, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["onnx", "1", "0", "skops", "1", "0"]


def test_the_engine_alone_has_the_versions_of_the_whole_product() -> None:
    assert locked("engine/requirements.txt").items() <= locked("requirements.txt").items()


def test_an_engine_with_dask_has_the_versions_of_one_without() -> None:
    with_dask = locked("engine/requirements-dask.txt")
    assert "distributed" in with_dask
    assert "distributed" not in locked("requirements.txt")
    assert locked("engine/requirements.txt").items() <= with_dask.items() <= locked("requirements-dev.txt").items()

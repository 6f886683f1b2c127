"""Put other code into the functions of this process, where they are: whoever has imported one calls the changed one."""

import ast
import gc
import importlib
from collections.abc import Iterator
from functools import _lru_cache_wrapper
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

from tests.mutants.changes import Change, changed

ROOT = Path(__file__).resolve().parents[2]
Key = tuple[str, str, int]


def modules(packages: dict[str, list[str]]) -> dict[str, Path]:
    """Return the modules of packages and their files, without what is left out."""
    found = {}
    for package, without in packages.items():
        folder = ROOT / package.replace(".", "/")
        for path in sorted(folder.rglob("*.py")) if folder.is_dir() else [folder.with_suffix(".py")]:
            name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
            if not any(name == one or name.startswith(f"{one}.") for one in without):
                found[name] = path
    return found


class Functions:
    """The functions of this process that were made from some files, and what they remember."""

    def __init__(self, files: dict[str, Path]) -> None:
        """Import the modules and find their functions, however they are wrapped."""
        self.files = files
        self.sources = {module: path.read_text() for module, path in files.items()}
        wanted = {str(path) for path in files.values()}
        self.modules: dict[str, ModuleType] = {name: importlib.import_module(name) for name in files}
        self._live: dict[Key, list[FunctionType]] = {}
        self._caches: list[_lru_cache_wrapper[Any]] = []
        for one in gc.get_objects():
            if type(one) is FunctionType and one.__code__.co_filename in wanted:
                self._live.setdefault(_key(one.__code__), []).append(one)
            elif type(one) is _lru_cache_wrapper and getattr(one, "__module__", None) in files:
                self._caches.append(one)

    def put(self, module: str, tree: ast.Module, function: str = "") -> int:
        """Put the code of a tree into the functions of a module, or of one function; return how many took it."""
        place = str(self.files[module])
        found: dict[Key, list[CodeType]] = {}
        for code in _within(compile(tree, place, "exec")):
            if not function or code.co_qualname == function or code.co_qualname.startswith(f"{function}.<locals>."):
                found.setdefault(_key(code), []).append(code)
        placed = 0
        for key, codes in found.items():
            for one in self._live.get(key, []) if len(codes) == 1 else []:
                one.__code__ = codes[0]
                placed += 1
        return placed

    def change(self, change: Change) -> int:
        """Put one change in place, and forget what was computed before it."""
        placed = self.put(change.module, changed(self.sources[change.module], change), change.function)
        self.forget()
        return placed

    def restore(self, module: str) -> None:
        """Put a module's own code back."""
        self.put(module, ast.parse(self.sources[module]))
        self.forget()

    def forget(self) -> None:
        """Empty what the functions remember of earlier calls."""
        for one in self._caches:
            one.cache_clear()


def _key(code: CodeType) -> Key:
    return (code.co_filename, code.co_qualname, code.co_firstlineno)


def _within(code: CodeType) -> Iterator[CodeType]:
    for one in code.co_consts:
        if isinstance(one, CodeType):
            yield one
            yield from _within(one)

"""What is changed in a module to see whether a test notices: small edits of its functions, one at a time.

Only what stands in functions is changed, for that alone can be put in place in a running process: not the tables,
fields and defaults of a module. Texts, annotations, assertions for the type checker, the log and fault points are left
alone.
"""

import ast
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial

Function = ast.FunctionDef | ast.AsyncFunctionDef
Edit = tuple[str, Callable[[], None]]
NOT_ENTERED = (ast.JoinedStr, ast.Assert, ast.arguments)
DROPPED = (ast.Raise, ast.AugAssign, ast.Delete, ast.Continue, ast.Break)
COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.FloorDiv: ast.Mult,
    ast.Div: ast.Mult,
    ast.BitOr: ast.BitAnd,
    ast.BitAnd: ast.BitOr,
}
SWAPPED = {"all": "any", "any": "all", "min": "max", "max": "min"}
NARROWING = ("filter", "exclude", "get", "update")
LOCKING = ("select_for_update", "distinct")


@dataclass(frozen=True, slots=True)
class Change:
    """One edit of a function: where it is, the line as it stands, and what becomes of it."""

    module: str
    function: str
    text: str
    change: str
    nth: int
    line: int = field(compare=False)
    statement: str = field(compare=False)
    at: int = field(compare=False)

    @property
    def key(self) -> tuple[str, str, str, str, int]:
        """Return what a change is known by, whatever stands above it in the file."""
        return (self.module, self.function, self.text, self.change, self.nth)


@dataclass(frozen=True, slots=True)
class _Slot:
    """Where a node hangs in its tree."""

    holder: ast.AST | list[ast.AST]
    name: str | int

    def put(self, node: ast.AST) -> None:
        """Hang another node there."""
        old = self.holder[self.name] if isinstance(self.holder, list) else getattr(self.holder, self.name)  # type: ignore[index, arg-type]
        ast.copy_location(node, old)
        if isinstance(self.holder, list):
            self.holder[self.name] = node  # type: ignore[index]
        else:
            setattr(self.holder, self.name, node)  # type: ignore[arg-type]


def functions(tree: ast.AST, inside: str = "") -> Iterator[tuple[str, Function]]:
    """Yield the functions of a module and the methods of its classes, with their qualified names."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.ClassDef):
            yield from functions(node, f"{inside}{node.name}.")
        elif isinstance(node, Function):
            yield f"{inside}{node.name}", node


def named(module: str, function: str, statement: ast.stmt) -> str:
    """Return the name of a statement in the map of what tests reach: it outlives lines that move."""
    return f"{module}:{function}:{ast.unparse(statement).partition(chr(10))[0]}"


def changes(module: str, source: str) -> list[Change]:
    """Return every change of a module."""
    found, seen, lines = [], Counter[tuple[str, str, str]](), source.splitlines()
    for at, (function, statement, node, change, _) in enumerate(_edits(ast.parse(source))):
        text = lines[node.lineno - 1].strip()
        seen[function, text, change] += 1
        nth = seen[function, text, change]
        name = named(module, function, statement)
        found.append(Change(module, function, text, change, nth, node.lineno, name, at))
    return found


def changed(source: str, change: Change) -> ast.Module:
    """Return the tree of a module after one change."""
    tree = ast.parse(source)
    for at, (*_, apply) in enumerate(_edits(tree)):
        if at == change.at:
            apply()
            fixed: ast.Module = ast.fix_missing_locations(tree)
            return fixed
    raise LookupError(change)


def _edits(tree: ast.Module) -> Iterator[tuple[str, ast.stmt, ast.AST, str, Callable[[], None]]]:
    for name, function in functions(tree):
        for at, statement in enumerate(function.body):
            for inner, node, (change, apply) in _walk(statement, _Slot(function.body, at), statement):  # type: ignore[arg-type]
                yield name, inner, node, change, apply


def _walk(node: ast.AST, slot: _Slot, statement: ast.stmt) -> Iterator[tuple[ast.stmt, ast.AST, Edit]]:
    """Yield the edits of a node and of all below it, each with its innermost statement."""
    if isinstance(node, NOT_ENTERED) or _says_nothing(node):
        return
    if isinstance(node, ast.stmt):
        statement = node
    for edit in _of(node, slot):
        yield statement, node if hasattr(node, "lineno") else statement, edit
    if isinstance(node, ast.Raise):
        return  # that it is raised counts; its words are looked at by people
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns", "decorator_list"):
            continue
        if isinstance(value, list):
            for at, child in enumerate(value):
                if isinstance(child, ast.AST):
                    yield from _walk(child, _Slot(value, at), statement)
        elif isinstance(value, ast.AST):
            yield from _walk(value, _Slot(node, name), statement)


def _of(node: ast.AST, slot: _Slot) -> Iterator[Edit]:
    if isinstance(node, ast.stmt):
        yield from _of_statement(node, slot)
    if isinstance(node, ast.If | ast.IfExp | ast.While) and not isinstance(node.test, ast.Compare | ast.BoolOp):
        yield from _negated(node.test, _Slot(node, "test"))
    if isinstance(node, ast.comprehension):
        for at, test in enumerate(node.ifs):
            if not isinstance(test, ast.Compare | ast.BoolOp):
                yield from _negated(test, _Slot(node.ifs, at))  # type: ignore[arg-type]
    if isinstance(node, ast.expr):
        yield from _of_expression(node, slot)


def _of_statement(node: ast.stmt, slot: _Slot) -> Iterator[Edit]:
    called = isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)
    put = isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Attribute | ast.Subscript)
    if called or put or isinstance(node, DROPPED) or (isinstance(node, ast.Return) and node.value is None):
        yield "left out", partial(slot.put, ast.If(ast.Constant(False), [node], []))
    if isinstance(node, ast.If) and not node.orelse:
        yield "never", partial(setattr, node, "test", _and_false(node.test))
    if isinstance(node, ast.Return) and node.value is not None and not _says_yes_or_no(node.value):
        yield "return None", partial(setattr, node, "value", _nothing_after(node.value))


def _negated(test: ast.expr, slot: _Slot) -> Iterator[Edit]:
    if not (isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not)):
        yield "negated", partial(slot.put, ast.UnaryOp(ast.Not(), test))


def _of_expression(node: ast.expr, slot: _Slot) -> Iterator[Edit]:
    if isinstance(node, ast.Compare):
        for at, op in enumerate(node.ops):
            other = COMPARISONS[type(op)]
            yield f"{type(op).__name__} → {other.__name__}", partial(_replace, node.ops, at, other())
    elif isinstance(node, ast.BoolOp):
        for value in node.values:
            rest = [one for one in node.values if one is not value]
            whole = rest[0] if len(rest) == 1 else ast.BoolOp(node.op, rest)
            yield f"without `{ast.unparse(value)}`", partial(slot.put, whole)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield "without not", partial(slot.put, node.operand)
    elif isinstance(node, ast.BinOp) and type(node.op) in ARITHMETIC and not _is_text(node):
        other_ = ARITHMETIC[type(node.op)]
        yield f"{type(node.op).__name__} → {other_.__name__}", partial(setattr, node, "op", other_())
    elif isinstance(node, ast.Constant) and isinstance(node.value, bool):
        yield f"{node.value} → {not node.value}", partial(setattr, node, "value", not node.value)
    elif isinstance(node, ast.Constant) and isinstance(node.value, int):
        yield f"{node.value} → {node.value + 1}", partial(setattr, node, "value", node.value + 1)
    elif isinstance(node, ast.Call):
        yield from _of_call(node, slot)


def _of_call(node: ast.Call, slot: _Slot) -> Iterator[Edit]:
    if isinstance(node.func, ast.Name) and node.func.id in SWAPPED:
        other = SWAPPED[node.func.id]
        yield f"{node.func.id} → {other}", partial(setattr, node.func, "id", other)
    if isinstance(node.func, ast.Attribute) and node.func.attr in LOCKING:
        yield f"without .{node.func.attr}()", partial(slot.put, node.func.value)
    if isinstance(node.func, ast.Attribute) and node.func.attr in NARROWING:
        for word in node.keywords:
            if word.arg is not None:
                yield f"without {word.arg}=", partial(node.keywords.remove, word)


def _replace(ops: list[ast.cmpop], at: int, op: ast.cmpop) -> None:
    ops[at] = op


def _and_false(test: ast.expr) -> ast.expr:
    """Return a test that never holds, and still binds the names that the test binds."""
    names = [one for one in ast.walk(test) if isinstance(one, ast.NamedExpr)]
    return ast.BoolOp(ast.And(), [test, ast.Constant(False)]) if names else ast.Constant(False)


def _nothing_after(value: ast.expr) -> ast.expr:
    """Return None in a form in which the function still refers to whatever its frame was made with."""
    return ast.IfExp(ast.Constant(False), value, ast.Constant(None))


def _says_yes_or_no(value: ast.expr) -> bool:
    plain = isinstance(value, ast.Constant | ast.Compare)
    return plain or (isinstance(value, ast.UnaryOp) and isinstance(value.op, ast.Not))


def _is_text(node: ast.BinOp) -> bool:
    sides = (node.left, node.right)
    return any(isinstance(one, ast.JoinedStr) or isinstance(getattr(one, "value", None), str) for one in sides)


def _says_nothing(node: ast.AST) -> bool:
    value = node.value if isinstance(node, ast.Expr) else None
    call = value.func if isinstance(value, ast.Call) else None
    if isinstance(call, ast.Name):
        return call.id == "fault_point"
    return isinstance(call, ast.Attribute) and isinstance(call.value, ast.Name) and call.value.id in ("log", "logger")

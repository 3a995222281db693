"""Mutants: every small mistake of certain kinds that a source could hold, found by its syntax tree.

A comparison that is swapped, a number that is one more, `and` for `or`, a `not` that is gone, + for -, True for False,
a value that is not returned, a statement that is not there. Code that cannot change the behaviour is left alone:
annotations, docstrings, text, decorators, `__slots__`, `assert`, logging.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass, replace

_SWAPPED: dict[type[ast.cmpop], str] = {
    ast.Lt: "<=",
    ast.LtE: "<",
    ast.Gt: ">=",
    ast.GtE: ">",
    ast.Eq: "!=",
    ast.NotEq: "==",
    ast.Is: "is not",
    ast.IsNot: "is",
    ast.In: "not in",
    ast.NotIn: "in",
}
_WORDS: dict[type[ast.cmpop], str] = {
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.Eq: "==",
    ast.NotEq: "!=",
    ast.Is: "is",
    ast.IsNot: "is not",
    ast.In: "in",
    ast.NotIn: "not in",
}
_SIGNS: dict[type[ast.operator], str] = {ast.Add: "-", ast.Sub: "+"}
_UNTOUCHED_CALLS = {"assert_never", "NewType", "TypeVar", "cast"}
_LOGGING = {"debug", "info", "warning", "error", "exception", "log"}


@dataclass(frozen=True, slots=True)
class Mutant:
    """In `path` the bytes from `start` to `end`, `old`, become `new`.

    `scope` and `scope_line` are the outermost function around it as its code object names it; `scope` is empty where
    there is none: the code then runs at import. `lines` run it; `nth` numbers equal mutants of one scope.
    """

    path: str
    line: int
    lines: range
    start: int
    end: int
    kind: str
    old: str
    new: str
    scope: str
    scope_line: int
    owner: str
    nth: int = 0

    @property
    def key(self) -> tuple[str, str, str, str, int]:
        """What it is called in the list of the equivalent ones: it holds where lines move."""
        return (self.path, self.owner, _flat(self.old), _flat(self.new), self.nth)

    def applied(self, source: bytes) -> bytes:
        """Return the source with it."""
        return source[: self.start] + self.new.encode() + source[self.end :]

    def __str__(self) -> str:
        return f"{self.path}:{self.line} {self.owner or 'module'}: {_flat(self.old)} → {_flat(self.new) or 'nothing'}"


def _flat(text: str) -> str:
    return " ".join(text.split())


def find(path: str, source: bytes) -> list[Mutant]:
    """Return all mutants of a source, in the order of the text."""
    finder = _Finder(path, source)
    finder.visit(ast.parse(source))
    found = sorted(finder.found, key=lambda one: (one.start, one.end, one.new))
    seen: dict[tuple[str, str, str, str, int], int] = {}
    numbered = []
    for one in found:
        nth = seen[one.key] = seen.get(one.key, -1) + 1
        numbered.append(replace(one, nth=nth))
    return numbered


class _Finder(ast.NodeVisitor):
    """Walks a tree. `_scopes` are the names around the node, `_function` the outermost function around it."""

    def __init__(self, path: str, source: bytes) -> None:
        self.found: list[Mutant] = []
        self._path = path
        self._source = source
        self._starts = [0]
        for line in source.splitlines(keepends=True):
            self._starts.append(self._starts[-1] + len(line))
        self._scopes: list[str] = []
        self._function: tuple[str, int] | None = None
        self._statement: range = range(0)

    # --- what is walked, and how --------------------------------------------------------------------------------------

    def visit(self, node: ast.AST) -> None:
        """Visit a node; keep the lines of the statement that it belongs to."""
        if isinstance(node, ast.stmt):
            self._statement = range(node.lineno, _head_end(node) + 1)
        if isinstance(node, ast.stmt) and self._function is not None and _can_go(node):
            self._add(node, "deleted", "pass")
        super().visit(node)

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        """Walk its defaults outside of it, its body inside; neither decorators nor annotations."""
        for default in (*node.args.defaults, *filter(None, node.args.kw_defaults)):
            self.visit(default)
        first = min([node.lineno, *(each.lineno for each in node.decorator_list)])
        self._within(node.name, node.body, first)

    visit_AsyncFunctionDef = visit_FunctionDef  # noqa: N815  # a name of ast

    def visit_Lambda(self, node: ast.Lambda) -> None:
        """Walk its body; a lambda outside of functions is a function of its own."""
        outer = self._function
        if outer is None:
            self._function = (".".join([*self._scopes, "<lambda>"]), node.lineno)
        self.visit(node.body)
        self._function = outer

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        """Walk its body."""
        self._scopes.append(node.name)
        self._walk(node.body)
        self._scopes.pop()

    def _within(self, name: str, body: list[ast.stmt], first: int) -> None:
        outer = self._function
        self._scopes.append(name)
        if outer is None:
            self._function = (".".join(self._scopes), first)
        self._walk(body)
        self._function = outer
        self._scopes.pop()

    def _walk(self, body: list[ast.stmt]) -> None:
        for statement in body:
            self.visit(statement)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        """Walk the value only."""
        if node.value is not None:
            self.visit(node.value)

    def visit_Assign(self, node: ast.Assign) -> None:
        """Walk the value; not that of `__slots__` and the like."""
        if not any(isinstance(target, ast.Name) and target.id.startswith("__") for target in node.targets):
            self.generic_visit(node)

    def visit_If(self, node: ast.If) -> None:
        """Pass over what only type checkers see."""
        if isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            return
        self.visit(node.test)
        self._walk(node.body)
        self._walk(node.orelse)

    def visit_Call(self, node: ast.Call) -> None:
        """Pass over what is there for type checkers and logs."""
        if not _is_untouched(node):
            self.generic_visit(node)

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        """Pass over text."""

    def visit_Assert(self, node: ast.Assert) -> None:
        """Pass over it: it holds what is true anyway."""

    # --- the mistakes ------------------------------------------------------------------------------------------------

    def visit_Compare(self, node: ast.Compare) -> None:
        """Swap each comparison."""
        sides = [node.left, *node.comparators]
        for number, operator in enumerate(node.ops):
            words = [self._text(sides[0])]
            for other, side in zip(node.ops, sides[1:], strict=True):
                words += [_SWAPPED[type(other)] if other is operator else _WORDS[type(other)], self._text(side)]
            self._add(node, f"comparison {number}", " ".join(words))
        self.generic_visit(node)

    def visit_BoolOp(self, node: ast.BoolOp) -> None:
        """`and` for `or`."""
        word = " or " if isinstance(node.op, ast.And) else " and "
        self._add(node, "and/or", f"({word.join(f'({self._text(value)})' for value in node.values)})")
        self.generic_visit(node)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> None:
        """Drop a `not`."""
        if isinstance(node.op, ast.Not):
            self._add(node, "not", self._text(node.operand))
        self.generic_visit(node)

    def visit_BinOp(self, node: ast.BinOp) -> None:
        """Swap + and -, where it is not text that is added."""
        if sign := _SIGNS.get(type(node.op)):
            self._add(node, "sign", f"{self._text(node.left)} {sign} {self._text(node.right)}")
        self.generic_visit(node)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        """Swap += and -=."""
        if sign := _SIGNS.get(type(node.op)):
            self._add(node, "sign", f"{self._text(node.target)} {sign}= {self._text(node.value)}")
        self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> None:
        """Swap True and False; add one to a number."""
        if isinstance(node.value, bool):
            self._add(node, "truth", str(not node.value))
        elif isinstance(node.value, int | float):
            self._add(node, "number", repr(node.value + 1))

    def visit_Return(self, node: ast.Return) -> None:
        """Return nothing; where it was True or False, that is swapped, which says more."""
        if node.value is not None:
            if not (isinstance(node.value, ast.Constant) and isinstance(node.value.value, bool | None)):
                self._add(node, "return", "return None")
            self.visit(node.value)

    # --- text --------------------------------------------------------------------------------------------------------

    def _text(self, node: ast.expr) -> str:
        start, end = self._span(node)
        text = self._source[start:end].decode()
        return f"({text})" if isinstance(node, ast.NamedExpr | ast.GeneratorExp) and text[0] != "(" else text

    def _span(self, node: ast.expr | ast.stmt) -> tuple[int, int]:
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        return (
            self._starts[node.lineno - 1] + node.col_offset,
            self._starts[node.end_lineno - 1] + node.end_col_offset,
        )

    def _add(self, node: ast.expr | ast.stmt, kind: str, new: str) -> None:
        start, end = self._span(node)
        scope, first = self._function or ("", 0)
        owner = ".".join(self._scopes)
        old = self._source[start:end].decode()
        self.found.append(
            Mutant(self._path, node.lineno, self._statement, start, end, kind, old, new, scope, first, owner)
        )


def _head_end(node: ast.stmt) -> int:
    """Return the last line of a statement, or of the head of one that has a body."""
    body = getattr(node, "body", None) or getattr(node, "cases", None)
    end = node.end_lineno or node.lineno
    if not body:
        return end
    first = body[0]
    return max(node.lineno, (first.lineno if isinstance(first, ast.stmt) else first.pattern.lineno) - 1)


def _can_go(node: ast.stmt) -> bool:
    match node:
        case ast.Assign() | ast.AugAssign() | ast.Raise() | ast.Delete():
            return True
        case ast.AnnAssign():
            return node.value is not None
        case ast.Expr(value=ast.Await(value=ast.Call() as call)) | ast.Expr(value=ast.Call() as call):
            return not _is_untouched(call)
        case _:
            return False


def _is_untouched(call: ast.Call) -> bool:
    match call.func:
        case ast.Name(id=name):
            return name in _UNTOUCHED_CALLS
        case ast.Attribute(value=ast.Name(id="log" | "_log" | "logger"), attr=name):
            return name in _LOGGING
        case _:
            return False

"""Templates that strangers wrote run here: they reach nothing, draw nothing and cost little.

Jinja's sandbox keeps a template from Python's insides. On top of it every loop, call, operator,
filter and comparison is counted (metering.py), and nothing is computed when a template is loaded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sized
from functools import wraps
from typing import Any

from jinja2 import StrictUndefined, Undefined, pass_context
from jinja2 import nodes as jinja
from jinja2.runtime import BlockReference, Context, LoopContext, Macro
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import _PassArg
from jinja2.visitor import NodeTransformer

from selectllm.prompting.metering import (
    MOST_DEPTH,
    TooCostly,
    meter,
    of_filter,
    of_method,
    of_operator,
)

# Names of filters of our own, which no template can write.
_TURNS, _WEIGHED, _TOGETHER = "turns ", "weighed ", "together "
_SHORT = 100  # characters that need no counting
_BUILT_IN = (str, bytes, int, float, list, tuple, dict, set, range)
_OF_CONTEXT = {
    _PassArg.context: "",
    _PassArg.eval_context: "eval_ctx",
    _PassArg.environment: "environment",
}
_NESTING = (Macro, LoopContext, BlockReference)


class Turns:
    """What a loop goes over, each turn counted; as long as what it is made of."""

    def __init__(self, values: Sized) -> None:
        self._values = values

    def __len__(self) -> int:
        return len(self._values)

    def __iter__(self) -> Iterator[Any]:
        return meter().turns(self._values)  # type: ignore[arg-type]


def _turns(values: Any) -> Iterable[Any]:
    if isinstance(values, Turns):
        return values
    iter(values)  # what cannot be gone over says so here
    return Turns(values) if isinstance(values, Sized) else meter().turns(values)


def _weighed(value: Any) -> Any:
    kind = type(value)
    if kind is int or (kind is str and len(value) < _SHORT) or isinstance(value, Undefined):
        return value
    now = meter()
    now.make(now.weigh(value))
    return value


def _together(values: list[Any]) -> str:
    meter().make(meter().weigh_all(values))
    return "".join(map(str, values))


def _concat(parts: Iterable[str]) -> str:
    """The parts of a block or macro as one text, which is not made if it is too long."""
    made = list(parts)  # each of which was counted as it was made
    meter().make(sum(map(len, made)))
    return "".join(made)


@pass_context
def _shown(context: Context, value: Any) -> Any:
    """What `{{ ... }}` shows. Needs the context, so that nothing is computed on load."""
    return value if type(value) is str else _weighed(value)  # _concat counts texts


def _counted_filter(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    passed = _PassArg.from_obj(function)
    passes = passed and _OF_CONTEXT[passed]

    @pass_context
    @wraps(function)
    def filtered(context: Context, value: Any, *args: Any, **named: Any) -> Any:
        now = meter()
        if isinstance(value, Iterator):
            value = list(now.turns(value))
        if not isinstance(value, Undefined):
            now.make(of_filter(name, value, *args, **named))
        if passes is None:
            made = function(value, *args, **named)
        else:
            made = function(getattr(context, passes, context), value, *args, **named)
        return now.turns(made) if isinstance(made, Iterator) else made

    return filtered


def _counted_test(function: Callable[..., Any]) -> Callable[..., Any]:
    if _PassArg.from_obj(function) is not None:
        return function

    @wraps(function)
    def tested(*values: Any) -> Any:
        for value in values:
            _weighed(value)
        return function(*values)

    return tested


class _Counting(NodeTransformer):
    """Puts a count before whatever the environment does not see happen."""

    def visit_For(self, node: jinja.For) -> jinja.For:
        """Count the turns of a loop."""
        self.generic_visit(node)
        node.iter = _filter(node.iter, _TURNS)
        return node

    def visit_Concat(self, node: jinja.Concat) -> jinja.Expr:
        """Count what `~` makes."""
        self.generic_visit(node)
        return _filter(jinja.List(node.nodes, lineno=node.lineno), _TOGETHER)

    def visit_Compare(self, node: jinja.Compare) -> jinja.Compare:
        """Count what is compared."""
        self.generic_visit(node)
        node.expr = _unless_constant(node.expr)
        for operand in node.ops:
            operand.expr = _unless_constant(operand.expr)
        return node

    def visit_Getitem(self, node: jinja.Getitem) -> jinja.Getitem:
        """Count what a slice copies."""
        self.generic_visit(node)
        if isinstance(node.arg, jinja.Slice):
            node.node = _filter(node.node, _WEIGHED)
        return node

    def visit_List(self, node: jinja.Expr) -> jinja.Expr:
        """Count a list that the template writes, unless all in it is written there, too."""
        self.generic_visit(node)
        if getattr(node, "ctx", "load") != "load" or not _reads(node):
            return node
        return _filter(node, _WEIGHED)

    visit_Tuple = visit_Dict = visit_List


def _reads(node: jinja.Node) -> bool:
    """Whether more comes into `node` than the template writes there."""
    return any(True for _ in node.find_all((jinja.Name, jinja.Filter)))


def _filter(node: Any, name: str) -> jinja.Filter:
    return jinja.Filter(node, name, [], [], None, None, lineno=node.lineno)


def _unless_constant(node: jinja.Expr) -> jinja.Expr:
    return node if isinstance(node, jinja.Const) else _filter(node, _WEIGHED)


class Sandbox(ImmutableSandboxedEnvironment):
    """Where templates run. `plain`: a type whose fields are text and always safe to read."""

    intercepted_binops = frozenset({"+", "-", "*", "/", "//", "%", "**"})

    def __init__(self, plain: Any) -> None:
        super().__init__(
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
            optimized=False,  # nothing is computed on load
            finalize=_shown,
        )
        self._plain, self._fields = plain, frozenset(plain.__slots__)
        self.concat = _concat  # type: ignore[method-assign]
        # The same cluster gives the same bytes every time: what draws at random is taken away.
        del self.globals["lipsum"], self.filters["random"]
        self.filters = {name: _counted_filter(name, f) for name, f in self.filters.items()}
        self.filters |= {_TURNS: _turns, _WEIGHED: _weighed, _TOGETHER: _together}
        tests: dict[str, Any] = dict(self.tests)
        self.tests = {name: _counted_test(function) for name, function in tests.items()}

    def getattr(self, obj: Any, attribute: str) -> Any:
        """As Jinja does; what is plain needs no second look, a third of the time of a render."""
        if type(obj) is self._plain and attribute in self._fields:
            return getattr(obj, attribute)
        return super().getattr(obj, attribute)

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """`left operator right`, counted before."""
        meter().make(of_operator(operator, left, right))
        return super().call_binop(context, operator, left, right)

    def call(__self, __context: Context, __obj: Any, *args: Any, **kwargs: Any) -> Any:
        """What a template calls, counted before; at most MOST_DEPTH calls inside each other."""
        now = meter()
        if isinstance(__obj, _NESTING):
            return __self._nested(__context, __obj, args, kwargs)
        args = tuple(list(now.turns(a)) if isinstance(a, Iterator) else a for a in args)
        given = {name: value for name, value in kwargs.items() if name[0] != "_"}
        function = getattr(__obj, "__wrapped__", __obj)  # what Jinja put around str.format
        owner = getattr(function, "__self__", None)
        if isinstance(owner, _BUILT_IN):
            now.make(of_method(function.__name__, owner, *args, **given))
        else:
            now.make(now.weigh_all((*args, *given.values())))
        return super().call(__context, __obj, *args, **kwargs)

    def _nested(self, context: Context, one: Any, args: Any, kwargs: Any) -> Any:
        now = meter()
        now.step()
        if isinstance(one, LoopContext) and args:
            args = (_turns(args[0]), *args[1:])
        now.depth += 1
        try:
            if now.depth > MOST_DEPTH:
                raise TooCostly(
                    f"calls itself more than {MOST_DEPTH} levels deep. Make the template simpler"
                )
            return super().call(context, one, *args, **kwargs)
        finally:
            now.depth -= 1

    def _generate(self, source: jinja.Template, *args: Any, **kwargs: Any) -> str:
        _Counting().visit(source)
        return super()._generate(source, *args, **kwargs)

"""Rules about ``@on`` methods and commands: what a fold may not do, and what only a fold may."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from typing import Final

from dolittle_cli.checking.findings import (
    FOLD_APPLIES,
    FOLD_REFUSES,
    MUTATION,
    NOT_DETERMINISTIC,
    Finding,
    Level,
    find,
)
from dolittle_cli.checking.naming import words
from dolittle_cli.sources import (
    SourceClass,
    SourceFunction,
    Sources,
    is_of_framework,
    method_called,
)

OUTSIDE: Final = {
    "reads the clock": (
        "datetime.datetime.now datetime.datetime.utcnow datetime.datetime.today "
        "datetime.date.today time.time time.time_ns time.monotonic time.monotonic_ns "
        "time.perf_counter time.perf_counter_ns time.process_time time.localtime time.gmtime "
        "time.ctime time.sleep dolittle.execution.SystemClock"
    ),
    "takes a random value": (
        "random.* secrets.* uuid.uuid1 uuid.uuid4 uuid.uuid6 uuid.uuid7 os.urandom "
        "numpy.random.* dolittle.execution.new_id builtins.id builtins.hash"
    ),
    "reads the environment": (
        "os.environ* os.getenv os.getpid os.getcwd os.cpu_count platform.* sys.argv "
        "pathlib.Path.cwd pathlib.Path.home dolittle.execution.current_context"
    ),
    "does input or output": (
        "builtins.open builtins.input io.open os.open os.read os.write os.remove os.unlink "
        "os.listdir os.scandir os.stat os.mkdir os.makedirs os.rename os.system os.path.exists "
        "os.path.isfile os.path.isdir os.path.getsize os.path.getmtime shutil.* tempfile.* "
        "subprocess.* sqlite3.* sys.stdin* glob.*"
    ),
    "uses the network": (
        "socket.* ssl.* urllib.request.* http.client.* httpx.* requests.* aiohttp.* smtplib.* "
        "ftplib.* asyncio.*"
    ),
    "writes to the terminal": "builtins.print sys.stdout* sys.stderr*",
}
"""What a fold may not do, with the names that do it; ``*`` stands for whatever follows."""

HARMLESS: Final = frozenset({"random.Random", "writes to the terminal"})
"""A generator that is seeded from the event; and what is a warning only: it repeats in replays."""

PATH_METHODS: Final = words(
    "exists glob is_dir is_file iterdir mkdir open read_bytes read_text rename rglob rmdir stat "
    "touch unlink write_bytes write_text"
)
MUTATORS: Final = words(
    "append appendleft clear extend extendleft insert popitem popleft setdefault"
)
"""Methods that change a list, a dictionary or the like, by whatever they are called on."""

CONTAINER_MUTATORS: Final = MUTATORS | words(
    "add difference_update discard intersection_update pop remove reverse rotate sort subtract "
    "symmetric_difference_update update"
)
"""Methods that change a field which is annotated as a container."""

CONTAINERS: Final = words(
    "list dict set deque defaultdict Counter OrderedDict bytearray MutableMapping "
    "MutableSequence MutableSet"
)


def check_folds(sources: Sources) -> Iterator[Finding]:
    """Yield what is found in the folds and commands of aggregates and projections."""
    for cls in sources.marked("aggregate_root"):
        folds = _folds(sources, cls)
        for fold in folds:
            yield from _deterministic(sources, cls, fold)
            yield from _applies(sources, cls, fold)
            yield from _refuses(cls, fold)
        yield from _mutations(sources, cls, folds)
    for cls in sources.marked("projection"):
        for fold in _folds(sources, cls):
            yield from _deterministic(sources, cls, fold)
    for function in sources.functions.values():
        if _is_upcaster(sources, function):
            yield from _deterministic(sources, None, function)


def _folds(sources: Sources, cls: SourceClass) -> list[SourceFunction]:
    return [method for method in sources.methods(cls).values() if sources.marked_with(method, "on")]


def _is_upcaster(sources: Sources, function: SourceFunction) -> bool:
    return any(
        isinstance(decorator, ast.Call)
        and is_of_framework(sources.resolve(function.module, decorator.func), "upcaster")
        for decorator in function.node.decorator_list
    )


# What a fold may not do


def _deterministic(
    sources: Sources, cls: SourceClass | None, fold: SourceFunction
) -> Iterator[Finding]:
    name = f"{cls.name}.{fold.name}" if cls else fold.name
    seen: set[tuple[str, int]] = set()
    for function in sources.reached(fold, cls):
        for line, what, dotted in _outside(sources, function):
            if (what, line) in seen:
                continue
            seen.add((what, line))
            through = "" if function is fold else f" through {function.name}"
            level: Level = "warning" if what in HARMLESS else "error"
            yield find(
                NOT_DETERMINISTIC,
                function.module.path,
                line,
                f"{name} {what}{through}: {dotted.removeprefix('builtins.')}",
                "put the value into the event where it is applied; a projection may take "
                "context.time",
                level,
            )


def _outside(sources: Sources, function: SourceFunction) -> Iterator[tuple[int, str, str]]:
    """Yield line, what it does, and the dotted name, for each use of what is outside."""
    for node in _executed(function):
        if not isinstance(node, ast.Attribute | ast.Name) or isinstance(node.ctx, ast.Store):
            continue
        dotted = sources.resolve(function.module, node, function.own_names)
        what = _what(dotted)
        if what:
            yield node.lineno, what, dotted
        elif isinstance(node, ast.Attribute) and _is_path_io(sources, function, node):
            yield node.lineno, "does input or output", f"pathlib.Path.{node.attr}"


def _executed(function: SourceFunction) -> Iterator[ast.AST]:
    """Yield the nodes of a function but for the annotations of its parameters."""
    for part in (*function.node.decorator_list, *function.node.body):
        yield from ast.walk(part)


def _what(dotted: str) -> str:
    if not dotted or dotted in HARMLESS:
        return ""
    for what, names in OUTSIDE.items():
        for name in names.split():
            if dotted == name or (name.endswith("*") and dotted.startswith(name[:-1])):
                return what
    return ""


def _is_path_io(sources: Sources, function: SourceFunction, node: ast.Attribute) -> bool:
    """Tell whether a method that reads or writes is called on a ``pathlib.Path(…)``."""
    return node.attr in PATH_METHODS and any(
        isinstance(part, ast.Name | ast.Attribute)
        and sources.resolve(function.module, part, function.own_names) == "pathlib.Path"
        for part in ast.walk(node.value)
    )


def _applies(sources: Sources, cls: SourceClass, fold: SourceFunction) -> Iterator[Finding]:
    for function in sources.reached(fold, cls):
        for node in ast.walk(function.node):
            if not isinstance(node, ast.Call) or not function.owner:
                continue
            if method_called(node, function.first_parameter) == "apply":
                through = "" if function is fold else f" through {function.name}"
                yield find(
                    FOLD_APPLIES,
                    function.module.path,
                    node.lineno,
                    f"{cls.name}.{fold.name} applies an event{through}",
                    "apply both events in the command, or let a handler perform the next command",
                )


def _refuses(cls: SourceClass, fold: SourceFunction) -> Iterator[Finding]:
    for node in ast.walk(fold.node):
        if isinstance(node, ast.Raise):
            yield find(
                FOLD_REFUSES,
                fold.module.path,
                node.lineno,
                f"{cls.name}.{fold.name} raises an error",
                "check the rule in the command, before the event is applied",
            )


# What only a fold may do


def _mutations(
    sources: Sources, cls: SourceClass, folds: Iterable[SourceFunction]
) -> Iterator[Finding]:
    fold_names = {fold.name for fold in folds}
    containers = _container_fields(sources, cls)
    seen: set[tuple[str, int]] = set()
    for name, command in sources.methods(cls).items():
        if name.startswith("_") or name in fold_names:
            continue
        for function in sources.reached(command, cls):
            if not function.owner or function.name in fold_names:
                continue
            for line, field in _changed(function, containers):
                if (field, line) in seen:
                    continue
                seen.add((field, line))
                through = "" if function is command else f" through {function.name}"
                yield find(
                    MUTATION,
                    function.module.path,
                    line,
                    f"{cls.name}.{name} changes {field}{through}",
                    "apply an event, and change the field in the @on method of that event",
                )


def _container_fields(sources: Sources, cls: SourceClass) -> set[str]:
    """Return the fields that are annotated as a list, dictionary, set or the like."""
    found = set()
    for known in sources.lineage(cls):
        for node in known.node.body:
            if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                named = {
                    part.id if isinstance(part, ast.Name) else part.attr
                    for part in ast.walk(node.annotation)
                    if isinstance(part, ast.Name | ast.Attribute)
                }
                if named & CONTAINERS:
                    found.add(node.target.id)
    return found


def _changed(function: SourceFunction, containers: set[str]) -> Iterator[tuple[int, str]]:
    """Yield line and field for each change of a field of the instance."""
    instance = function.first_parameter
    for node in ast.walk(function.node):
        for target in _targets(node):
            field = _field(target, instance)
            if field:
                yield target.lineno, f"{instance}.{field}"
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            field = _field(node.func.value, instance)
            mutators = CONTAINER_MUTATORS if field in containers else MUTATORS
            if field and node.func.attr in mutators:
                yield node.lineno, f"{instance}.{field}"
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            first = node.args[0] if node.args else None
            is_own = isinstance(first, ast.Name) and first.id == instance
            if node.func.id in ("setattr", "delattr") and is_own:
                yield node.lineno, f"a field of {instance}"


def _targets(node: ast.AST) -> Iterator[ast.expr]:
    """Yield what a statement assigns to or deletes, taken apart."""
    match node:
        case ast.Assign(targets=waiting) | ast.Delete(targets=waiting):
            pending = list(waiting)
        case ast.AugAssign(target=target) | ast.For(target=target):
            pending = [target]
        case ast.AnnAssign(target=target, value=ast.expr()):
            pending = [target]
        case _:
            return
    while pending:
        target = pending.pop()
        if isinstance(target, ast.Tuple | ast.List):
            pending.extend(target.elts)
        elif isinstance(target, ast.Starred):
            pending.append(target.value)
        else:
            yield target


def _field(node: ast.expr, instance: str) -> str:
    """Return the field of the instance in which an expression lies; empty if in none."""
    field = ""
    while isinstance(node, ast.Attribute | ast.Subscript):
        field = node.attr if isinstance(node, ast.Attribute) else field
        node = node.value
    return field if field and isinstance(node, ast.Name) and node.id == instance else ""

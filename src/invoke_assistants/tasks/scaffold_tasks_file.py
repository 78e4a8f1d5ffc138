"""Our collection added to an existing ``tasks.py``: lines inserted where the syntax tree shows that it is safe. Pure."""

from __future__ import annotations

import ast
import codecs
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

__all__ = ["BY_HAND", "Uneditable", "add_collection", "has_collection"]

IMPORT = "from invoke_assistants.tasks import ns as asst"
ADD = "ns.add_collection(asst)"
BY_HAND = (IMPORT, f"{ADD}  # where there is no ns yet: ns = Collection(asst, TASK, TASK, ...)")
_ROOTS = ("ns", "namespace")  # where Invoke looks for a module's collection
_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)


class Uneditable(Exception):
    """A ``tasks.py`` is better edited by hand; the message says why."""


def has_collection(content: bytes) -> bool:
    """Whether a ``tasks.py`` takes our collection into one of its own."""
    try:
        tree = ast.parse(content)
    except (SyntaxError, ValueError):
        return False
    bound = Counter(_bindings(tree))
    return _adds_collection(tree) and any(bound[root] for root in _ROOTS) and not _is_collection_itself(tree)


def add_collection(content: bytes) -> bytes:
    """Insert the lines that add our collection to a ``tasks.py`` that has not got it.

    Every line of it stays, byte for byte. Where it has no collection, it gets one of all its tasks: Invoke collects those
    by itself, but no imported collection.

    Raises:
        Uneditable: it is not plain where the lines belong.
    """
    try:
        tree = ast.parse(content)
    except (SyntaxError, ValueError) as error:
        line = f", line {error.lineno}" if isinstance(error, SyntaxError) and error.lineno else ""
        raise Uneditable(f"it is not valid Python{line}: {getattr(error, 'msg', error)}") from None
    insertions = _plan(tree)
    mark = codecs.BOM_UTF8 if content.startswith(codecs.BOM_UTF8) else b""
    lines = content.removeprefix(mark).splitlines(keepends=True)
    newline = b"\r\n" if lines[0].endswith(b"\r\n") else b"\n"
    if not lines[-1].endswith((b"\n", b"\r")):
        lines[-1] += newline
    for place, new in sorted(insertions.items(), reverse=True):
        lines[place:place] = [line.encode() + newline for line in new]
    edited = mark + b"".join(lines)
    _verify(tree, edited, [line for new in insertions.values() for line in new])
    return edited


def _plan(tree: ast.Module) -> Mapping[int, Sequence[str]]:
    """The lines to insert, by the number of lines before them."""
    bound = Counter(_bindings(tree))
    imports = [each for each in tree.body if isinstance(each, ast.Import | ast.ImportFrom)]
    invoke = [each for each in imports if _modules(each)[0].partition(".")[0] == "invoke"]
    if not invoke:
        raise Uneditable("it imports nothing from invoke at its top level")
    if _uses_collection(tree):
        raise Uneditable("it imports the collection and adds it to none")
    if bound["*"]:
        raise Uneditable("an import of * may bring anything")
    if bound["asst"] or any(_is_called_asst(each) for each in ast.walk(tree)):
        raise Uneditable("it uses the name asst for something else")
    collection = _name_of_collection(imports)
    roots = [root for root in _ROOTS if bound[root]]
    if not roots:
        return _plan_new_root(tree, bound, invoke[-1], collection)
    statement = _assignment(tree, roots[0]) if len(roots) == 1 and bound[roots[0]] == 1 else None
    before = [each for each in invoke if statement and each.lineno < statement.lineno]
    if not statement or not before or not _makes_collection(statement.value, collection):
        raise Uneditable(f"its {roots[0]} is not made by one statement, {roots[0]} = Collection(...)")
    return {_end(before[-1]): [IMPORT], _end(statement): [ADD.replace("ns", roots[0], 1)]}


def _is_called_asst(node: ast.AST) -> bool:
    """Whether a part of the module may bring a collection of the name that ours has."""
    match node:
        case ast.Constant(value=str(name)) | ast.alias(name=name) | ast.Attribute(attr=name):
            return name.rpartition(".")[2] == "asst"
        case ast.keyword(arg="asst"):
            return True
        case ast.ImportFrom(module=str(name)):
            return name.rpartition(".")[2] == "asst"
        case _:
            return False


def _plan_new_root(
    tree: ast.Module, bound: Counter[str], last_import: ast.stmt, collection: str | None
) -> Mapping[int, Sequence[str]]:
    if bound["Collection"] and collection != "Collection":
        raise Uneditable("its Collection is not Invoke's")
    imported = [] if collection else ["from invoke.collection import Collection"]
    insertions = {_end(last_import): [*imported, IMPORT]}
    if not bound["sys"]:
        place, line = _place_of_sys(tree)
        insertions[place] = [*line, *insertions.get(place, ())]
    elif bound["sys"] > 1 or not any(isinstance(each, ast.Import) and "sys" in _modules(each) for each in tree.body):
        raise Uneditable("its sys is not Python's")
    last = tree.body[-1]
    insertions[_end(last)] = [
        *insertions.get(_end(last), ()),
        *([""] * (2 if isinstance(last, _SCOPES) else 1)),
        "# All tasks of this file: with an ns, Invoke looks nowhere else. Keep this at the end.",
        f"ns = {collection or 'Collection'}.from_module(sys.modules[__name__])",
        ADD,
    ]
    return insertions


def _place_of_sys(tree: ast.Module) -> tuple[int, Sequence[str]]:
    """Where ``import sys`` goes, so that the imports of the standard library stay sorted."""
    future = ("__future__",)
    imports = [each for each in tree.body if isinstance(each, ast.Import | ast.ImportFrom) and _modules(each) != future]
    standard = [each for each in imports if _modules(each)[0].partition(".")[0] in sys.stdlib_module_names]
    earlier = [each for each in standard if isinstance(each, ast.Import) and _modules(each)[0] < "sys"]
    if earlier:
        return _end(earlier[-1]), ["import sys"]
    if standard:
        return standard[0].lineno - 1, ["import sys"]
    return imports[0].lineno - 1, ["import sys", ""]


def _verify(tree: ast.Module, edited: bytes, new: Sequence[str]) -> None:
    """The edited file is the old one and the new statements, nothing else."""
    inserted = {ast.dump(each) for each in ast.parse("\n".join(new)).body}
    try:
        compile(edited, "tasks.py", "exec", dont_inherit=True)  # says more than the parser, such as of __future__
        after = [ast.dump(each) for each in ast.parse(edited).body]
    except (SyntaxError, ValueError):
        after = []
    if [each for each in after if each not in inserted] != [ast.dump(each) for each in tree.body]:
        raise Uneditable("several statements share a line")


def _module_scope(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes below one, without the bodies of functions and classes."""
    for child in ast.iter_child_nodes(node):
        yield child
        if not isinstance(child, _SCOPES):
            yield from _module_scope(child)


def _bindings(tree: ast.Module) -> Iterator[str]:
    """The names that a module binds or deletes, once for each time."""
    for node in _module_scope(tree):
        match node:
            case ast.Name(id=name, ctx=ast.Store() | ast.Del()):
                yield name
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                yield name
            case ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
                yield name
            case ast.MatchMapping(rest=str(name)):
                yield name
            case ast.alias():
                yield node.asname or node.name.partition(".")[0]
            case _:
                pass
    for node in ast.walk(tree):
        if isinstance(node, ast.Global):
            yield from node.names


def _modules(statement: ast.Import | ast.ImportFrom) -> tuple[str, ...]:
    """The modules that a statement imports, or imports from."""
    if isinstance(statement, ast.ImportFrom):
        return ("." * statement.level + (statement.module or ""),)
    return tuple(alias.name for alias in statement.names)


def _name_of_collection(imports: Sequence[ast.stmt]) -> str | None:
    """The name under which Invoke's ``Collection`` is imported."""
    for each in imports:
        if isinstance(each, ast.ImportFrom) and each.module in ("invoke", "invoke.collection") and not each.level:
            for alias in each.names:
                if alias.name == "Collection":
                    return alias.asname or alias.name
    return None


def _assignment(tree: ast.Module, name: str) -> ast.Assign | ast.AnnAssign | None:
    """The top-level statement ``name = …``."""
    for each in tree.body:
        targets = each.targets if isinstance(each, ast.Assign) else [each.target] if isinstance(each, ast.AnnAssign) else []
        if isinstance(each, ast.Assign | ast.AnnAssign) and any(isinstance(to, ast.Name) and to.id == name for to in targets):
            return each
    return None


def _makes_collection(value: ast.expr | None, collection: str | None) -> bool:
    makers = {f"{name}{call}" for name in (collection, "invoke.Collection") if name for call in ("", ".from_module")}
    return isinstance(value, ast.Call) and ast.unparse(value.func) in makers


def _names_of_ours(tree: ast.Module) -> tuple[set[str], set[str]]:
    """How a module can write our ``ns``: by names that it imports, and through our module, as ``tasks.ns``."""
    imported: set[str] = set()
    through: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                if (node.module, alias.name) == ("invoke_assistants.tasks", "ns"):
                    imported.add(alias.asname or alias.name)
                elif (node.module, alias.name) == ("invoke_assistants", "tasks"):
                    through.add(f"{alias.asname or alias.name}.ns")
        elif isinstance(node, ast.Import):
            through |= {f"{alias.asname or alias.name}.ns" for alias in node.names if alias.name == "invoke_assistants.tasks"}
    return imported, through


def _uses_collection(tree: ast.Module) -> bool:
    """Whether our ``ns`` is imported, or reached through our module."""
    imported, through = _names_of_ours(tree)
    return bool(imported) or any(isinstance(node, ast.Attribute) and ast.unparse(node) in through for node in ast.walk(tree))


def _adds_collection(tree: ast.Module) -> bool:
    """Whether our ``ns`` is given to a call, as ``Collection(asst)`` and ``ns.add_collection(asst)`` do."""
    names = set[str]().union(*_names_of_ours(tree))
    calls = (node for node in ast.walk(tree) if isinstance(node, ast.Call))
    return any(ast.unparse(each) in names for call in calls for each in (*call.args, *(word.value for word in call.keywords)))


def _is_collection_itself(tree: ast.Module) -> bool:
    """Whether the module's own ``ns`` is our collection: then its tasks are ``inv create``, not ``inv asst.create``."""
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and node.module == "invoke_assistants.tasks":
            return any(alias.name == "ns" and (alias.asname or alias.name) in _ROOTS for alias in node.names)
    return False


def _end(statement: ast.stmt) -> int:
    assert statement.end_lineno is not None
    return statement.end_lineno

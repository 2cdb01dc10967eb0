"""The modules of `lakehouse.job` as the one file that travels: a submitted Python task has no packages of ours beside it.

The modules keep to what makes that simple, and joining refuses anything else: imports only at the top; from each other only
`from lakehouse.job.x import name`; no name defined by two of them; no circle.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

from msgspec import Struct

PACKAGE = "lakehouse.job"
FOLDER = Path(__file__).with_name("job")
DROPPER = Path(__file__).with_name("table_dropper.py")  # sent as it is, and never imported: it needs pyspark
MAIN = "main"


class Module(Struct, frozen=True):
    """One module: its docstring, import lines from elsewhere by the name they bind, siblings, top-level names, remaining text."""

    name: str
    docstring: str
    imports: dict[str, str]
    siblings: frozenset[str]
    names: frozenset[str]
    body: str


def joined(folder: Path = FOLDER) -> str:
    """The whole job as Python source. Raises ValueError for a module that cannot be joined."""
    modules = {path.stem: parse(path) for path in sorted(folder.glob("*.py")) if path.stem != "__init__"}
    needs = {name: sorted(module.siblings) for name, module in modules.items()}  # sorted: equal sources give equal files
    order = [name for name in TopologicalSorter(needs).static_order() if name != MAIN] + [MAIN]
    if any(MAIN in siblings for siblings in needs.values()):
        raise ValueError(f"{MAIN}.py runs the job and comes last: no other module can import from it")
    imports: dict[str, str] = {}
    owners: dict[str, str] = {}
    for module in (modules[name] for name in order):
        for name in sorted(module.names | module.imports.keys()):
            owner = owners.setdefault(name, module.name)
            if owner != module.name and (name in module.names or imports.get(name) != module.imports[name]):
                raise ValueError(f"{name} means one thing in {owner}.py and another in {module.name}.py; rename one of them")
        imports |= module.imports
    lines = sorted(set(imports.values()), key=lambda line: (line.startswith("from pyspark"), line))
    head = f'"""{modules[MAIN].docstring}"""\n\nfrom __future__ import annotations\n\n' + "\n".join(lines)
    return "\n\n\n".join([head, *(f"# --- {name}.py\n\n{modules[name].body}" for name in order)]) + "\n"


def parse(path: Path) -> Module:
    """One module, taken apart. Raises ValueError for an import that cannot be joined."""
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text, str(path))
    imports: dict[str, str] = {}
    siblings: set[str] = set()
    dropped: set[int] = set()
    for node in tree.body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            dropped |= set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
            siblings |= set(_sibling(node, path))
            imports |= dict(_from_elsewhere(node))
    nested = {node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)} - set(tree.body)
    if nested:
        raise ValueError(f"{path.name}: imports stand at the top, where they can be joined")
    docstring = ast.get_docstring(tree, clean=False) or ""
    if docstring:
        dropped |= set(range(1, (tree.body[0].end_lineno or 1) + 1))
    kept = [line for number, line in enumerate(text.splitlines(), 1) if number not in dropped]
    return Module(path.stem, docstring, imports, frozenset(siblings), frozenset(_names(tree)), "\n".join(kept).strip("\n"))


def _sibling(node: ast.Import | ast.ImportFrom, path: Path) -> Iterator[str]:
    """The module of ours that an import takes names from."""
    module = node.module or "" if isinstance(node, ast.ImportFrom) else ""
    own = isinstance(node, ast.ImportFrom) and (node.level > 0 or f"{module}.".startswith("lakehouse."))
    if not own and not any(alias.name.startswith("lakehouse") for alias in node.names):
        return
    if module.rpartition(".")[0] != PACKAGE or any(alias.asname or alias.name == "*" for alias in node.names):
        raise ValueError(f"{path.name}, line {node.lineno}: of ours, only `from {PACKAGE}.x import name` can be joined")
    yield module.rpartition(".")[2]


def _from_elsewhere(node: ast.Import | ast.ImportFrom) -> Iterator[tuple[str, str]]:
    """Names that an import of other packages binds, each with a line of its own."""
    module = node.module or "" if isinstance(node, ast.ImportFrom) else ""
    if module == "__future__" or module.startswith(PACKAGE):
        return
    for alias in node.names:
        line = f"from {module} import {alias.name}" if module else f"import {alias.name}"
        yield alias.asname or alias.name, f"{line} as {alias.asname}" if alias.asname else line


def _names(tree: ast.Module) -> Iterator[str]:
    """What a module defines at its top."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name
        for target in node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []:
            yield from (name.id for name in ast.walk(target) if isinstance(name, ast.Name))

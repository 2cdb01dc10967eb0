"""The job is several modules here and one file where it is sent: it needs nothing of ours, and old Pythons can read it."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lakehouse.job_file import FOLDER, joined


def write(folder: Path, **modules: str) -> Path:
    """Modules with a docstring each; `main` is there always."""
    for name, body in {"main": "x = 1\n", **modules}.items():
        (folder / f"{name}.py").write_text(f'"""About {name}."""\n\nfrom __future__ import annotations\n\n{body}')
    return folder


def test_the_joined_job_is_python_3_10_and_needs_only_pyspark_and_the_standard_library() -> None:
    tree = ast.parse(joined(), feature_version=(3, 10))
    compile(joined(), "job.py", "exec")
    modules = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    modules |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    packages = {str(module).partition(".")[0] for module in modules}
    assert packages - sys.stdlib_module_names == {"pyspark"}
    assert ("datetime", "UTC") not in [
        (n.module, a.name) for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) for a in n.names
    ]


def test_the_joined_job_has_every_name_it_uses_and_every_definition_of_its_modules(tmp_path: Path) -> None:
    file = tmp_path / "job.py"
    file.write_text(joined())
    checked = subprocess.run(
        [sys.executable, "-m", "ruff", "check", "--isolated", "--select", "F", file], capture_output=True, text=True
    )
    assert checked.returncode == 0, checked.stdout
    defined = [node.name for node in ast.parse(joined()).body if isinstance(node, ast.FunctionDef | ast.ClassDef)]
    of_modules = [
        node.name
        for path in FOLDER.glob("*.py")
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.FunctionDef | ast.ClassDef)
    ]
    assert sorted(defined) == sorted(of_modules) and len(set(defined)) == len(defined)
    assert defined[-1] == "main"


def test_equal_modules_give_equal_bytes_so_that_a_run_is_found_again() -> None:
    command = [sys.executable, "-c", "from lakehouse.job_file import joined; print(joined(), end='')"]
    texts = {subprocess.check_output(command, env=os.environ | {"PYTHONHASHSEED": seed}) for seed in ("1", "2", "3")}
    assert texts == {joined().encode()}


def test_what_a_module_uses_stands_before_it_and_comments_stay(tmp_path: Path) -> None:
    write(
        tmp_path,
        a="import re\n\nfrom lakehouse.job.b import two\n\n\ndef one() -> int:\n    return two() if re else 0  # why\n",
        b="from re import (\n    compile,\n    match as found,\n)\n\n\ndef two() -> int:\n    return bool(compile and found)\n",
        main="from lakehouse.job.a import one\n\nprint(one())\n",
    )
    text = joined(tmp_path)
    assert subprocess.check_output([sys.executable, "-c", text], text=True) == "True\n"
    assert text.startswith('"""About main."""') and "  # why" in text and "from re import match as found" in text
    assert text.index("def two") < text.index("def one") < text.index("print(one())")


@pytest.mark.parametrize(
    ("modules", "problem"),
    [
        ({"a": "from lakehouse.job.b import x as y\n"}, "a.py, line 5: of ours, only"),
        ({"a": "from lakehouse.job import b\n"}, "of ours, only"),
        ({"a": "import lakehouse.errors\n"}, "of ours, only"),
        ({"a": "from lakehouse.errors import LakehouseError\n"}, "of ours, only"),
        ({"a": "from .b import x\n"}, "of ours, only"),
        ({"a": "def f() -> None:\n    import re\n"}, "a.py: imports stand at the top"),
        ({"a": "X = 1\n", "b": "X = 2\n"}, "X means one thing in a.py and another in b.py"),
        ({"a": "import re\n", "b": "from json import loads as re\n"}, "re means one thing in a.py"),
        ({"a": "import re\n", "b": "def re() -> None: ...\n"}, "re means one thing"),
        ({"a": "from lakehouse.job.b import y\nx = y\n", "b": "from lakehouse.job.a import x\ny = x\n"}, "cycle"),
        ({"a": "from lakehouse.job.main import x\n"}, "no other module can import from it"),
    ],
)
def test_modules_that_cannot_be_joined_are_refused_by_name(tmp_path: Path, modules: dict[str, str], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        joined(write(tmp_path, **modules))

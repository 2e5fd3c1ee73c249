import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILES = sorted(file for folder in ("segmenter", "benchmarks") for file in (ROOT / folder).rglob("*.py"))


@pytest.fixture(params=FILES, ids=lambda file: str(file.relative_to(ROOT)))
def source(request: pytest.FixtureRequest) -> str:
    file: Path = request.param
    return file.read_text()


def test_no_function_is_longer_than_40_lines(source: str) -> None:
    lengths = {function.name: _length(function) for function in _functions(source)}

    assert {name: length for name, length in lengths.items() if length > 40} == {}


def test_no_function_takes_more_than_6_parameters(source: str) -> None:
    counts = {function.name: _parameters(function) for function in _functions(source)}

    assert {name: count for name, count in counts.items() if count > 6} == {}


def test_a_module_above_300_lines_says_why(source: str) -> None:
    reason = ast.get_docstring(ast.parse(source)) or ""

    assert len(source.splitlines()) <= 300 or "300 lines" in reason


def _functions(source: str) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def _length(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    assert function.end_lineno is not None
    return function.end_lineno - function.lineno + 1


def _parameters(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    arguments = function.args
    names = [a.arg for a in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)]
    return len([name for name in names if name not in ("self", "cls")])

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest

_SCRIPT = Path(__file__).parents[2] / ".ci" / "check_demo.py"
ALIVE = {"events": 5, "changes": 2, "sizes": {}, "latency_ms": {}, "lag": 0, "last_change": None}


@pytest.fixture(scope="module")
def check() -> ModuleType:
    spec = importlib.util.spec_from_file_location("check_demo", _SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_demo_that_moved_customers_passes(check: ModuleType) -> None:
    assert check.faults([json.dumps({}), json.dumps(ALIVE)]) == []


@pytest.mark.parametrize(
    ("lines", "fault"),
    [
        ([], "the demo printed nothing"),
        ([json.dumps(ALIVE | {"changes": 0})], "changes is 0, expected > 0"),
        ([json.dumps({"events": 5, "changes": 2})], "the last line lacks"),
    ],
)
def test_a_demo_that_did_not_is_named(check: ModuleType, lines: list[str], fault: str) -> None:
    assert check.faults(lines)[0].startswith(fault)

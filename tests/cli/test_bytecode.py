import py_compile
from pathlib import Path

import pytest

from segmenter.wiring.bytecode import PACKAGES, is_compiled


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    source = tmp_path / "freshly_unpacked" / "__init__.py"
    source.parent.mkdir()
    source.write_text("ANSWER = 42\n")
    monkeypatch.syspath_prepend(tmp_path)
    return source


def test_a_package_that_was_only_unpacked_is_not_compiled(package: Path) -> None:
    assert not is_compiled("freshly_unpacked")


def test_a_package_is_compiled_once_its_bytecode_is_where_python_looks_for_it(package: Path) -> None:
    py_compile.compile(str(package))

    assert is_compiled("freshly_unpacked")


def test_the_packages_that_are_looked_at_exist() -> None:
    assert all(__import__(name) for name in PACKAGES)

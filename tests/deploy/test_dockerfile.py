import re
import tomllib

from tests.deploy.queries import ROOT

_LINES = (ROOT / "deploy" / "Dockerfile").read_text().splitlines()


def test_the_image_is_built_in_two_stages_from_one_base() -> None:
    bases = [line.split()[1] for line in _LINES if line.startswith("FROM ")]

    assert len(bases) == 2
    assert len(set(bases)) == 1
    assert re.fullmatch(r"python:3\.\d+-slim-\w+", bases[0])


def test_its_python_is_one_that_the_project_supports() -> None:
    minor = int(re.findall(r"python:3\.(\d+)", "\n".join(_LINES))[0])
    requires = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"]

    assert requires == ">=3.11"
    assert minor >= 11


def test_nothing_is_installed_without_a_hash() -> None:
    installs = [line for line in _LINES if "pip install" in line]

    assert all("--require-hashes" in line or "--no-deps --no-build-isolation" in line for line in installs)


def test_what_it_holds_is_compiled_for_a_user_who_can_write_nothing() -> None:
    compiled = [i for i, line in enumerate(_LINES) if "compileall" in line]
    last_install = max(i for i, line in enumerate(_LINES) if "pip install" in line)
    last_stage = max(i for i, line in enumerate(_LINES) if line.startswith("FROM "))

    # Times of files do not survive every copy of an image; hashes that nobody checks do.
    assert [i for i in compiled if last_install < i < last_stage and "unchecked-hash" in _LINES[i]]


def test_it_runs_without_rights_and_obeys_sigterm() -> None:
    last_stage = _LINES[max(i for i, line in enumerate(_LINES) if line.startswith("FROM ")) :]

    assert "USER 10001:10001" in last_stage
    assert "STOPSIGNAL SIGTERM" in last_stage
    # The exec form: with a shell in between the signal would not reach the worker.
    assert 'ENTRYPOINT ["segmenter"]' in last_stage


def test_every_file_it_copies_is_there_and_let_through_to_the_build() -> None:
    copied = [
        name for line in _LINES if line.startswith("COPY ") and "--from" not in line for name in line.split()[1:-1]
    ]
    let_through = (ROOT / ".dockerignore").read_text().split()

    assert copied
    for name in copied:
        plain = name.removeprefix("./")
        assert (ROOT / plain).exists(), plain
        assert f"!{plain}" in let_through

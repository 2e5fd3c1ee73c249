import json
from pathlib import Path

from tests.cli.running import RunCommand


def test_what_was_written_is_as_the_types_say(segmenter: RunCommand, tmp_path: Path) -> None:
    written = segmenter("schemas", "write", "--folder", str(tmp_path), "--json")
    checked = segmenter("schemas", "check", "--folder", str(tmp_path), "--json")

    assert sorted(json.loads(written.out)["written"]) == sorted(str(path) for path in tmp_path.iterdir())
    assert json.loads(checked.out) == {"drifted": []}
    assert (written.code, checked.code) == (0, 0)


def test_a_schema_that_was_changed_or_is_missing_ends_with_1(segmenter: RunCommand, tmp_path: Path) -> None:
    segmenter("schemas", "write", "--folder", str(tmp_path))
    first, second, *_ = sorted(tmp_path.glob("*.json"))
    first.write_text("{}")
    second.unlink()

    ran = segmenter("schemas", "check", "--folder", str(tmp_path))

    assert ran.code == 1
    assert ran.out.splitlines() == [
        f"{first} is not as the types say",
        f"{second} is missing",
        "write them anew with: segmenter schemas write",
    ]

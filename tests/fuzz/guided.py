"""`python -m tests.fuzz.guided -runs=N`: the decoder under atheris, which looks for bytes that reach new code."""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import atheris

with atheris.instrument_imports(include=["segmenter.adapters", "segmenter.domain"]):
    from segmenter.adapters.codec import CodecSettings, JsonDecoder, TopicForm
    from segmenter.domain.causes import Rejection

from segmenter.ports import Decoded
from tests.fuzz.hostile import Hostile, Hostility

DECODER = JsonDecoder(CodecSettings({"orders": TopicForm(customer_from_key=True)}))
HEADERS = (
    (),
    (("content-type", b"application/cloudevents+json"),),
    (("ce_specversion", b"1.0"), ("ce_type", b"click"), ("ce_id", b"1"), ("ce_source", b"/")),
)
NOW_MS = 1_793_527_200_000


def decode_one(data: bytes) -> None:
    """Decode a value; the first byte chooses headers and key. Raises for an answer that is none."""
    choice, value = (data[0], data[1:]) if data else (0, b"")
    key = b"c-1" if choice & 4 else None
    found = DECODER.decode(Hostile("orders", 0, 1, NOW_MS, key, value, HEADERS[choice % len(HEADERS)]))
    if isinstance(found, Rejection):
        assert found.detail.isascii()
        assert found.detail.isprintable()
    else:
        assert isinstance(found, Decoded)
        assert found.customer
        assert "\x00" not in found.customer + found.event_id


def main() -> None:
    with TemporaryDirectory() as corpus:
        # Begin with what reaches deep: bytes that are no JSON would take days to become an order.
        hostility = Hostility(1)
        for number in range(1_000):
            value = hostility.record(number, NOW_MS * 1_000).value or b""
            (Path(corpus) / str(number)).write_bytes(bytes([number % 8]) + value)
        atheris.Setup([*sys.argv, "-max_len=4096", corpus], decode_one)
        atheris.Fuzz()


if __name__ == "__main__":
    main()

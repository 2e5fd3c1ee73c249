"""One decoder for all worlds: to make one takes longer than to play a short world."""

from segmenter.adapters.codec import JsonDecoder

DECODER = JsonDecoder()

"""A recorder that keeps nothing: a world is judged by what is in its log and store."""

from segmenter.ports import Recorder


class Silence(Recorder):
    """Takes every report and forgets it."""

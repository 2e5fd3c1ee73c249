"""segmenter: customer segments that move to the second, exactly once, with the reason."""

__version__ = "0.1.0"

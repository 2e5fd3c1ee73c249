"""`python -m segmenter` is the command `segmenter`."""

from segmenter.cli import main

main()

"""Hostile input by seed, for the decoder, the whole path and the scripts: `make fuzz N=1000000`."""

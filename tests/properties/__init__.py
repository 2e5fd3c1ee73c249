"""Rules that hold for every history: hypothesis against the naive model."""

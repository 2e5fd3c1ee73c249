"""HTTP pages of a worker."""

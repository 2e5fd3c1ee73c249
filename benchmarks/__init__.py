"""Measures the worker on a real Kafka and a real Redis. `python -m benchmarks --help` says how."""

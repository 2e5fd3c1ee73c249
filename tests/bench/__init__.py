"""Real servers for tests and benchmarks: Apache Kafka and Redis on loopback ports."""

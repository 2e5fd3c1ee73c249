"""What the ports are to the world: Kafka, Redis, files, and dicts in memory."""

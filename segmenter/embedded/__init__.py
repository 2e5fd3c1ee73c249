"""A Kafka, a Redis and a shop that need nothing but Python: what `segmenter demo` runs on."""

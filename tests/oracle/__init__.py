"""Second opinions: real data, DuckDB over the raw files, and a naive model, all apart from the product."""

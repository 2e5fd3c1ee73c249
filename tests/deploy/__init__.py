"""What is in `deploy/` and `docker-compose.yml`, checked without a container engine."""

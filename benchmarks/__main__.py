"""The command: `python -m benchmarks [NAME …] [--scale S] [--write]`."""

from benchmarks.report import main

if __name__ == "__main__":
    main()

"""The command: `python -m benchmarks [NAME …] [--scale S] [--write]`."""

import argparse
from pathlib import Path
from benchmarks import throughput

def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--profile", type=Path)
    options = parser.parse_args()
    print(throughput.run(options.scale, options.profile))

if __name__ == "__main__":
    main()

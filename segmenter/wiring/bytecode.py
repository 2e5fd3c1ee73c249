"""Whether this process was started from bytecode: without any, it compiles all of its modules at every start."""

import logging
from importlib.util import find_spec
from pathlib import Path

# Ours, and the largest of those we use: an installer compiles all of a package or none of it.
PACKAGES = ("segmenter", "redis")

log = logging.getLogger(__name__)


def warn_of_uncompiled_code() -> None:
    """Say in the log which packages are compiled anew at every start, which makes it two seconds longer."""
    if uncompiled := [name for name in PACKAGES if not is_compiled(name)]:
        log.warning("code_not_compiled", extra={"packages": uncompiled, "remedy": "python -m compileall"})


def is_compiled(package: str) -> bool:
    """Tell whether Python finds bytecode of a package where it looks for it, or has just written some there."""
    spec = find_spec(package)
    return spec is not None and spec.cached is not None and Path(spec.cached).exists()

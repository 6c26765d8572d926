"""Where a result was computed: versions, processor, threads."""

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGES = ("numlin", "numpy", "numba", "llvmlite", "matplotlib")


def environment():
    """Return a JSON-ready dict that describes interpreter, packages and processor."""
    return {
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in PACKAGES},
        "platform": platform.platform(),
        "cpu": _cpu(),
        "cores": os.cpu_count(),
    }


def _version(package):
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _cpu():
    """The processor's name as Linux tells it, else as Python does."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()

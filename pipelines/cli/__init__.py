"""The command line ``kubedistill``."""

from pipelines.cli.ending import main

__all__ = ["main"]

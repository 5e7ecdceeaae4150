"""The command line ``kubedistill``."""

from pipelines.cli.app import main

__all__ = ["main"]

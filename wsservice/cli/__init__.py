"""The program `wsservice`: commands for those who run the service. The service itself is `twistd wsservice`."""

from wsservice.cli.program import main

__all__ = ["main"]

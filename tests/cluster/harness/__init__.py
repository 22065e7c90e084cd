"""The modules here, and those of `tests/clients/harness`."""

from pathlib import Path

__path__.append(str(Path(__file__).resolve().parents[2] / "clients" / "harness"))

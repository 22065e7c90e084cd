"""Where things are: the repository, what `setup` installed, the broker's binary."""

import os
from pathlib import Path

CLIENTS = Path(__file__).resolve().parent.parent
REPOSITORY = CLIENTS.parent.parent
INSTALLED = REPOSITORY / ".cache" / "clients"
DRIVERS = CLIENTS / "drivers"
JAVA_CLASSES = INSTALLED / "java" / "classes"
JAVA_LIBRARIES = INSTALLED / "java" / "libs"
EDDY = Path(os.environ.get("EDDY_BIN", REPOSITORY / "target" / "release" / "eddy"))


def java(main_class, *arguments, heap="256m"):
    """The command that runs a class with Kafka's libraries, tuned to start fast rather than to run long."""
    flags = [f"-Xmx{heap}", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto"]
    return ["java", *flags, "-cp", f"{JAVA_CLASSES}:{JAVA_LIBRARIES}/*", main_class, *arguments]

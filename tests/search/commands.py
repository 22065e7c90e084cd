"""The command line, as a process."""

import os
import subprocess

from harness import paths

SECONDS = 60


def environment(directory):
    kept = {name: value for name, value in os.environ.items() if not name.startswith("EDDY_")}
    return kept | {"XDG_CONFIG_HOME": str(directory), "XDG_STATE_HOME": str(directory)}


def run(broker, directory, *arguments, http=True):
    """Runs a command against a broker: (exit code, stdout, stderr)."""
    where = ["--http", f"127.0.0.1:{broker.admin_port}"] if http else []
    command = [str(paths.EDDY), *arguments, *where, "-b", broker.bootstrap]
    done = subprocess.run(command, capture_output=True, text=True, env=environment(directory), timeout=SECONDS)
    return done.returncode, done.stdout, done.stderr

#!/usr/bin/env python3
"""A load on the processor's cores: load.py [-n PROCESSES] COMMAND ARGUMENT...

Runs the command beside processes that do nothing but compute, one for each core unless told otherwise, and ends as it does:

    Tests/load.py make test
    Tests/load.py -n 4 swift test --skip-build --filter '^ReadersTests[.]'
"""
import argparse
import ctypes
import os
import signal
import subprocess
import sys


class Load:
    """While in force, so many processes compute. They end with it, also where this one is killed."""

    def __init__(self, count=None):
        self.count = os.cpu_count() if count is None else count
        self.processes = []

    def __enter__(self):
        library = ctypes.CDLL(None)

        def ends_with_parent():
            library.prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG

        self.processes = [subprocess.Popen([sys.executable, "-S", "-c", "while True: pass"], preexec_fn=ends_with_parent)
                          for _ in range(self.count)]
        return self

    def __exit__(self, *_):
        for process in self.processes:
            process.kill()
        for process in self.processes:
            process.wait()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-n", type=int, default=None, metavar="PROCESSES", help="as many as there are cores by default")
    parser.add_argument("command", nargs=argparse.REMAINDER)
    options = parser.parse_args()
    if not options.command:
        parser.error("a command is missing")
    with Load(options.n):
        try:
            raise SystemExit(subprocess.call(options.command))
        except FileNotFoundError as error:
            raise SystemExit(f"load.py: {error}")


if __name__ == "__main__":
    main()

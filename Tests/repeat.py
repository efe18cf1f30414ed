#!/usr/bin/env python3
"""Suites again and again beside a load: repeat.py [--runs N] [--load N] [SUITE...]

A suite is a test target or one of its suites: ReadersTests, ReadersTests.PCSCReaderTests, ConsoleTests (the page in a browser).
Without one, every target is taken that starts a process or opens a port or a line, and the console. Prints a table and exits
with 1 if a run failed; what failing runs printed is kept in .build/tests/repeat. Needs `swift build --build-tests`.
"""
import argparse
import re
import shutil
import statistics
import sys

import load
import runner

# Marks of a test that depends on more than its own computing.
OUTSIDE = re.compile(r"\bProcess\(\)|processExitsWith|PythonOracle\(|PN532Device\(|VirtualPCSC|ServerBootstrap|\bbind\(|\.live\)|"
                     r"\bProgram\(\)|TestDaemon|ReaderServer\(|HTTPHost\(|LineServer\(")


def outside():
    """The test targets that start a process or open a port or a line."""
    return [folder.name for folder in sorted((runner.ROOT / "Tests").glob("*Tests"))
            if any(OUTSIDE.search(file.read_text()) for file in folder.glob("**/*.swift"))] + [runner.CONSOLE]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=30)
    parser.add_argument("--load", type=int, default=None, metavar="N", help="processes that compute; as many as there are cores by default")
    parser.add_argument("--patience", type=int, default=1800, metavar="SECONDS", help="a run that takes longer has failed")
    parser.add_argument("--list", action="store_true", help="print the suites that are taken without being named")
    parser.add_argument("suites", nargs="*", metavar="SUITE")
    options = parser.parse_args()
    if options.list:
        print("\n".join(outside()))
        return
    runner.require_build()
    kept = runner.ROOT / ".build/tests/repeat"
    shutil.rmtree(kept, ignore_errors=True)
    kept.mkdir(parents=True)
    rows = []
    with load.Load(options.load) as burden:
        print(f"beside {burden.count} processes that compute", flush=True)
        try:
            for suite in options.suites or outside():
                row = {"suite": suite, "seconds": [], "failures": 0, "tests": 0}
                rows.append(row)
                for number in range(1, options.runs + 1):
                    run = runner.Run(runner.command(suite), patience=options.patience)
                    row["seconds"].append(run.seconds)
                    row["tests"] = max(row["tests"], run.count)
                    if run.problem:
                        row["failures"] += 1
                        (kept / f"{suite}-{number}.log").write_text(run.text)
                        print(f"{suite}, run {number}: {run.problem}", *run.failures[:8], sep="\n    ", flush=True)
                print(line(row), flush=True)
        except KeyboardInterrupt:
            print("interrupted")
    print(f"\n{'suite':<40} {'tests':>6} {'runs':>5} {'failures':>9} {'median':>9} {'slowest':>9}")
    for row in rows:
        print(line(row))
    if any(row["failures"] for row in rows):
        sys.exit(f"what the failing runs printed is in {kept}")
    if any(len(row["seconds"]) < options.runs for row in rows):
        sys.exit(1)


def line(row):
    seconds = row["seconds"] or [0]
    return (f"{row['suite']:<40} {row['tests']:>6} {len(row['seconds']):>5} {row['failures']:>9} "
            f"{statistics.median(seconds):>7.1f} s {max(seconds):>7.1f} s")


if __name__ == "__main__":
    main()

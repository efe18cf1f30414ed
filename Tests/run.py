#!/usr/bin/env python3
"""All tests, as `make test` runs them: run.py [--jobs N] [GROUP...]

Each group of suites runs in a process of its own, which has folders of its own for states and temporary files, and counts only
what is its own; with --jobs 2 two at a time, so that what mostly computes runs beside what mostly waits. What a group printed is
shown when it has ended. At the end: the slowest suites, what was skipped and why, what failed, and each group's closing line.
Exits with 1 if a test failed. What the groups printed is kept in .build/tests, the skipped tests in .build/tests/skipped.tsv, a
test and its reason in a line. Needs `swift build --build-tests`.
"""
import argparse
import concurrent.futures
import sys
import time

import runner

# Longest first. What is in no other group is in the last. Suites that count threads and descriptors are groups of their own.
GROUPS = [
    runner.CONSOLE,
    runner.CRASH,
    "CommandLineTests.ExamplePackageTests",
    "CommandLineTests",
    "TerminalServiceTests",
    "ReadersTests",
    "JournalTests",
    "PN532Tests",
    "PN532Tests.ManyReadersTests",
    "TerminalTests.PCSCSoakTests",
    "TerminalTests",
    "RemoteReadersTests.EnduranceTests",
    "RemoteReadersTests",
    "AcquirerHostTests",
    "HTTPBackendTests",
    "SimulationTests",
    "others",
]


def words(group):
    if group == "others":
        return runner.command(None, skipping=[each for each in GROUPS if each not in (group, runner.CONSOLE, runner.CRASH)])
    return runner.command(group, skipping=[each for each in GROUPS if each.startswith(group + ".")])


def skipped(path):
    lines = path.read_text().splitlines() if path.exists() else []
    return sorted(set(tuple(line.split("\t", 1)) for line in lines if "\t" in line))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=1, help="groups at a time; one by default")
    parser.add_argument("groups", nargs="*", metavar="GROUP", help="only these; all by default")
    options = parser.parse_args()
    runner.require_build()
    groups = [group for group in GROUPS if not options.groups or group in options.groups]
    if not groups:
        parser.error("there are: " + ", ".join(GROUPS))
    folder = runner.ROOT / ".build/tests"
    folder.mkdir(parents=True, exist_ok=True)
    list_of_skipped = folder / "skipped.tsv"
    list_of_skipped.unlink(missing_ok=True)
    begun = time.monotonic()
    runs = {}
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        work = {pool.submit(runner.Run, words(group), {"TAPBRIDGE_SKIPPED": str(list_of_skipped)}): group for group in groups}
        for ended in concurrent.futures.as_completed(work):
            name, run = work[ended], ended.result()
            runs[name] = run
            (folder / f"{name}.log").write_text(run.text)
            print(f"\n=== {name}: {run.problem or 'passed'}, {run.seconds:.0f} s ({len(runs)} of {len(groups)}) ===\n{run.text}", flush=True)
    wall = time.monotonic() - begun

    slowest = sorted(((*suite, name) for name, run in runs.items() for suite in run.suites), reverse=True)[:15]
    print("\nSlowest suites")
    for seconds, suite, name in slowest:
        print(f"{seconds:>8.1f} s  {suite}  ({name})")
    missing = skipped(list_of_skipped)
    print(f"\nSkipped tests: {len(missing)}")
    for test, reason in missing:
        print(f"    {test}: {reason}")
    failed = {name: run for name, run in runs.items() if run.problem}
    if failed:
        print("\nFailed")
        for name, run in failed.items():
            print(f"    {name}: {run.problem} ({folder / name}.log)")
            for line in run.failures[:20]:
                print(f"        {line}")
    print("\nGroups")
    for name, run in sorted(runs.items(), key=lambda each: -each[1].seconds):
        print(f"{run.seconds:>8.1f} s  {name}: {' '.join(run.closing) or run.problem or 'passed'}")
    print(f"\n{'✘' if failed else '✔'} {sum(run.count for run in runs.values())} tests in {wall:.0f} s, "
          f"{len(missing)} skipped, {len(failed)} of {len(runs)} groups failed")
    if failed:
        sys.exit(1)


if __name__ == "__main__":
    main()

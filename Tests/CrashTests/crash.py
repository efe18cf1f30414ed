#!/usr/bin/env python3
"""Kills, stops and starves a daemon and its host while clients pay, and compares the ledgers of all three afterwards.

Each seed is a schedule: faults (daemon, host or both killed or stopped; journal locked, full, or failing at sync; disk filled
and emptied; clock jumping by days; line cut or silent; a host that is silent, late, doubled or cut) and clients' operations (sales,
pre-authorizations, deferred payments, refunds, voids, tips, completions, keys again, terminals added and removed), alone, in
parallel and in unlucky order. Then the faults end, the daemon starts a last time, what is owed is delivered, and what the clients
were told, the journal, and the host's books must agree. The seed decides what is done when; how it falls together is
decided by the clock too, so that a seed need not do the same twice.

Needs Linux. Journal faults and clock jumps need a C compiler (cc), filled disks root (unshare and mount); what is left out is named.
Exits with 1 at any difference; that seed's folder is kept.
"""
import argparse
import atexit
import concurrent.futures
import dataclasses
import json
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import comparison  # noqa: E402
import ledgers  # noqa: E402
import shop as shops  # noqa: E402
from clients import CLIENTS, Client, Ledger  # noqa: E402

# Kind, weight, and how long it lasts at least and at most.
FAULTS = {
    "kill-daemon": (6, 0, 0.8), "kill-host": (4, 0, 1.5), "kill-both": (3, 0, 0.8), "restart-daemon": (2, 0, 0),
    "stop-daemon": (2, 0.2, 2), "stop-host": (3, 0.3, 3), "cut": (2, 0, 0), "silent-line": (2, 0.5, 3),
    "lock": (2, 0.5, 7), "enospc": (2, 0.3, 4), "eio-sync": (2, 0.2, 2), "eio-once": (2, 0.5, 1), "doubt": (2, 0.2, 2),
    "fill": (2, 0.5, 4), "clock": (3, 1, 2),
}
TROUBLES = [
    "3%: silence", "3%: lost", "3%: late 3s", "4%: duplicate", "3%: cut", "3%: cut before", "2%: overtaken 3s", "3%: decline 05",
    "5%: slow 1s", "reversal 15%: lost", "reversal 15%: silence", "reversal 10%: duplicate", "reversal 15%: cut", "reversal 10%: late 3s",
    "adjustment 15%: lost", "adjustment 15%: silence", "adjustment 10%: duplicate", "adjustment 15%: cut", "30%: slow 1s",
]
INSIDE = "TAPBRIDGE_CRASH_TEST_INSIDE"


@dataclasses.dataclass
class Event:
    kind: str
    after: float
    seconds: float
    choice: bool
    jumps: list
    troubles: list


def schedule(seed, seconds, kinds):
    """The faults of a seed, in their order, for about so many seconds; and the first host's troubles."""
    chance = random.Random(seed)

    def troubles():
        return chance.sample(TROUBLES, chance.choice([0, 1, 2, 3, 5]))
    first = troubles()
    events, total = [], 0
    while total < seconds:
        # Every seed begins with an end.
        names = [kind for kind in kinds if kind.startswith("kill")] if not events else list(kinds)
        kind = chance.choices(names or list(kinds), [FAULTS[each][0] for each in names or kinds])[0]
        _, least, most = FAULTS[kind]
        event = Event(kind, chance.uniform(0.2, 1.5), chance.uniform(least, most), chance.random() < 0.5,
                      [chance.choice([-1, 1]) * chance.randrange(1, 400) for _ in range(3)], troubles())
        events.append(event)
        total += event.after + event.seconds
    if events and chance.random() < 0.7:
        chance.shuffle(events)
    return first, events


class Result:
    def __init__(self, seed):
        self.seed, self.seconds, self.counts, self.differences, self.folder = seed, 0, {}, [], None


def run_seed(options, seed, kinds, libraries, base):
    """One schedule from beginning to end."""
    result = Result(seed)
    begun = time.monotonic()
    folder = pathlib.Path(tempfile.mkdtemp(prefix=f"seed-{seed}-", dir=base))
    first, events = schedule(seed, options.seconds, kinds)
    (folder / "schedule.txt").write_text(f"host: {first}\n" + "".join(f"{event}\n" for event in events))
    ledger = Ledger()
    shop = shops.Shop(options.program, folder, events, libraries)
    keep = True
    try:
        shop.start_host(first)
        shop.start_daemon()
        play(shop, ledger, seed, events)
        shop.settle(options.patience)
        for payment in ledger.payments:
            if payment.id and shop.url:
                answer = shop.ask("GET", f"/v1/payments/{payment.id}")
                if answer.status == 200:
                    payment.note(answer.body)
                elif answer.status != 404:
                    shop.differs("api", f"GET {payment.id} at the end: {answer.status} {answer.body}")
        shop.close()
        for kind, text in inspect(shop, ledger):
            shop.differs(kind, text)
        keep = bool(shop.differences) or options.keep
    except KeyboardInterrupt:
        raise
    except Exception as error:
        shop.differs("driver", f"{error!r}: {traceback.format_exc()[-600:]}")
    finally:
        result.counts, result.differences = shop.counts, shop.differences
        result.counts["payments"] = len([each for each in ledger.payments if each.id])
        for payment in ledger.payments:
            if payment.told:
                shop.count(("refunds" if payment["type"] else "payments") + " told " + payment.told[-1][1])
        for action in ledger.actions:
            shop.count(f"{action.kind}s told {action.status or 'nothing'}")
        if keep:
            result.folder = str(folder)
            keep_ledger(folder, ledger, shop)
        shop.remove(keep)
        result.seconds = time.monotonic() - begun
    return result


def play(shop, ledger, seed, events):
    """The clients at work while the faults befall the shop."""
    stop = threading.Event()
    profile = (shops.ROOT / "Sources/Machines/Cards/Profiles/visa-credit.yaml").read_text()
    clients = [Client(shop, ledger, seed, index, profile, stop) for index in range(CLIENTS)]
    for client in clients:
        client.start()
    try:
        for event in events:
            shop.pause(event.after)
            shop.befall(event)
        shop.pause(0.5)
    finally:
        stop.set()
    deadline = time.monotonic() + 30
    for client in clients:
        while client.is_alive() and time.monotonic() < deadline:
            # What a client waits for may need a daemon.
            shop.pause(0.1)
        if client.is_alive():
            shop.differs("driver", f"client {client.index} did not end")
        if client.error:
            shop.differs("driver", f"client {client.index}: {client.error!r}")


def inspect(shop, ledger):
    """The files that daemon and host left behind, compared."""
    def tapbridge(*words):
        return subprocess.run([shop.program, *words], env=shop.environment, capture_output=True, text=True, timeout=60)
    verified = tapbridge("journal", "verify", "--json", "--journal", str(shop.journal))
    try:
        problems = json.loads(verified.stdout)["problems"]
    except (ValueError, KeyError):
        problems = [verified.stdout + verified.stderr]
    if verified.returncode or problems:
        yield "verify", f"journal verify ends with {verified.returncode}: {problems}"
    exported = tapbridge("journal", "export", "--journal", str(shop.journal))
    if exported.returncode:
        yield "verify", f"journal export ends with {exported.returncode}: {exported.stderr[:300]}"
        return
    (shop.folder / "journal.json").write_text(exported.stdout)
    yield from ledgers.compare(json.loads(exported.stdout), ledgers.HostBooks(shop.folder / "host.json"), ledger)


def keep_ledger(folder, ledger, shop):
    """What the clients were told, beside what the processes left."""
    with open(folder / "clients.txt", "w") as file:
        for payment in ledger.payments:
            print(payment.key, payment.id, payment.body, payment.told, file=file)
        for action in ledger.actions:
            print(action.kind, action.payment.id, action.amount, f"{action.begun:.3f}-{action.ended:.3f}", action.status, action.code, file=file)
    (folder / "differences.txt").write_text("".join(f"{kind}: {text}\n" for kind, text in shop.differences))


def build_libraries(base):
    """The preloaded libraries; none without a C compiler."""
    sources = {"journal_faults": shops.ROOT / "Tests/Oracles/journal_faults.c",
               "clock_jumps": pathlib.Path(__file__).resolve().parent / "clock_jumps.c"}
    built = {}
    for name, source in sources.items():
        built[name] = pathlib.Path(base) / f"{name}.so"
        try:
            subprocess.run(["cc", "-shared", "-fPIC", "-o", str(built[name]), str(source), "-ldl"], check=True)
        except (OSError, subprocess.CalledProcessError):
            return {}
    return built


def enter_namespace():
    """Mounts of this program are seen by itself alone. Returns at once where that cannot be, or is so already."""
    if os.environ.get(INSIDE) or os.geteuid() != 0 or not shutil.which("unshare"):
        return
    probe = "d=$(mktemp -d) && mount -t tmpfs tmpfs $d && umount $d && rmdir $d"
    if subprocess.run(["unshare", "-m", "sh", "-c", probe], capture_output=True).returncode == 0:
        os.environ[INSIDE] = "1"
        os.execvp("unshare", ["unshare", "-m", sys.executable, os.path.abspath(__file__), *sys.argv[1:]])


def table(results):
    counts, differences = {}, {}
    for result in results:
        for name, count in result.counts.items():
            counts[name] = counts.get(name, 0) + count
        for kind in {kind for kind, _ in result.differences}:
            differences.setdefault(kind, []).append(result.seed)
    return counts, differences


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", help="the tapbridge program")
    parser.add_argument("--seeds", type=int, default=20, help="how many seeds; 20 by default")
    parser.add_argument("--seed", type=int, default=1, help="the first; 1 by default")
    parser.add_argument("--seconds", type=float, default=6, help="how long faults last in each, about; 6 by default")
    parser.add_argument("--patience", type=float, default=60, help="seconds for what is owed, after the last start; 60 by default")
    parser.add_argument("--jobs", type=int, default=1, help="seeds at a time")
    parser.add_argument("--without", default="", metavar="FAULT,...", help="leave these faults out: " + ", ".join(FAULTS) + ", troubles")
    parser.add_argument("--only", default="", metavar="FAULT,...", help="these faults alone")
    parser.add_argument("--folder", help="where the seeds' folders are made; with the other temporary files by default")
    parser.add_argument("--keep", action="store_true", help="keep each seed's folder")
    parser.add_argument("--stop", action="store_true", help="stop after the first difference")
    parser.add_argument("--json", action="store_true", help="print the results as JSON")
    options = parser.parse_args()
    options.program = os.path.abspath(options.program)
    without = set(filter(None, options.without.split(",")))
    only = set(filter(None, options.only.split(",")))
    if unknown := (without | only) - set(FAULTS) - {"troubles"}:
        parser.error(f"no such fault: {', '.join(sorted(unknown))}")
    if not os.access(options.program, os.X_OK):
        parser.error(f"{options.program} is not there")
    comparison.check()
    enter_namespace()
    atexit.register(shops.end_all)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    if "troubles" in without:
        TROUBLES.clear()

    if options.folder:
        os.makedirs(options.folder, exist_ok=True)
    base = tempfile.mkdtemp(prefix="tapbridge-crash-", dir=options.folder and os.path.abspath(options.folder))
    libraries = build_libraries(base)
    left_out = {}
    if not libraries:
        left_out.update({kind: "no C compiler (cc)" for kind in ("enospc", "eio-sync", "eio-once", "doubt", "clock")})
    if not os.environ.get(INSIDE):
        left_out["fill"] = "a mount namespace of its own takes root and unshare"
    left_out = {kind: why for kind, why in left_out.items() if kind not in without and (not only or kind in only)}
    say = (lambda text: None) if options.json else lambda text: print(text, flush=True)
    for kind, why in left_out.items():
        say(f"left out: {kind} ({why})")
    kinds = [kind for kind in FAULTS if kind not in without and kind not in left_out and (not only or kind in only)]
    seeds = range(options.seed, options.seed + options.seeds)
    begun, results = time.monotonic(), []
    enough = threading.Event()

    def work(seed):
        return None if enough.is_set() else run_seed(options, seed, kinds, libraries, base)
    pool = concurrent.futures.ThreadPoolExecutor(options.jobs)
    try:
        for done in concurrent.futures.as_completed([pool.submit(work, seed) for seed in seeds]):
            result = done.result()
            if result is None:
                continue
            results.append(result)
            faults = ", ".join(f"{count} {kind}" if count > 1 else kind for kind, count in result.counts.items() if kind in FAULTS)
            say(f"{'FAILED' if result.differences else 'ok':<7} seed_{result.seed} ({result.seconds:.1f} s)  {result.counts.get('operations', 0)} "
                f"operations, {result.counts['payments']} payments; {faults} [{len(results)} of {len(seeds)}]")
            told = {}
            for kind, text in result.differences:
                told[kind] = told.get(kind, 0) + 1
                if told[kind] <= 3:
                    say(f"        {kind}: {text}")
            for kind, count in told.items():
                if count > 3:
                    say(f"        {kind}: {count - 3} more (differences.txt)")
            if result.differences:
                say(f"        kept: {result.folder}\n        again: {sys.argv[0]} {options.program} --seed {result.seed} --seeds 1 "
                    f"--seconds {options.seconds:g}" + (f" --without {options.without}" if without else "") + (f" --only {options.only}" if only else ""))
                if options.stop:
                    enough.set()
    except BaseException:
        enough.set()
        shops.end_all()
        pool.shutdown(cancel_futures=True)
        if not any(result.folder for result in results):
            shutil.rmtree(base, ignore_errors=True)
        raise
    pool.shutdown()
    counts, differences = table(results)
    if options.json:
        print(json.dumps({
            "seeds": len(results), "seconds": round(time.monotonic() - begun, 1), "counts": counts, "leftOut": left_out,
            "differences": [{"seed": result.seed, "folder": result.folder, "kind": kind, "text": text}
                            for result in results for kind, text in result.differences],
        }, indent=2))
    else:
        print("\nDone")
        for name, count in sorted(counts.items(), key=lambda each: (each[0] in FAULTS, -each[1])):
            print(f"{count:>8}  {name}")
        print("\nDifferences" + ("" if differences else ": none"))
        for kind, of in sorted(differences.items(), key=lambda each: -len(each[1])):
            print(f"{len(of):>8}  {kind}: seeds {', '.join(map(str, sorted(of)[:20]))}")
        for kind, why in left_out.items():
            print(f"Left out: {kind} ({why})")
        failed = sum(1 for result in results if result.differences)
        print(f"\n{'✘' if failed else '✔'} crash test: {len(results)} seeds in {time.monotonic() - begun:.0f} s, {failed} with differences")
    if not any(result.folder for result in results):
        shutil.rmtree(base, ignore_errors=True)
    sys.exit(1 if differences else 0)


if __name__ == "__main__":
    main()

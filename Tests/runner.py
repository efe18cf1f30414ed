"""One run of a part of the tests in a process of its own, and what it printed. For run.py and repeat.py."""
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
BUILD = ROOT / ".build" / "debug"
# What `swift test` runs; several of these may run at the same time, of `swift test` only one.
BUNDLE = BUILD / "tapbridgePackageTests.xctest"
PYTHON = ROOT / ".build" / "venv" / "bin" / "python"
CONSOLE = "ConsoleTests"
COLOURS = re.compile(r"\x1b\[[0-9;]*m")
CRASH = "CrashTests"
# Of the crash test, in `make test`: about 12 s each, two at a time.
CRASH_SEEDS = 4


def command(suite, skipping=()):
    """What runs a suite: the console's tests, a sample of the crash test's seeds, or those whose names begin like that (`ReadersTests`,
    `ReadersTests.PCSCReaderTests`); none for all."""
    if suite == CONSOLE:
        return [str(PYTHON), str(ROOT / "Tests/ConsoleTests/console.py"), str(BUILD / "tapbridge")]
    if suite == CRASH:
        return [sys.executable, str(ROOT / "Tests/CrashTests/crash.py"), str(BUILD / "tapbridge"), "--seeds", str(CRASH_SEEDS), "--jobs", "2",
                "--folder", str(ROOT / ".build/tests")]
    chosen = ["--filter", f"^{re.escape(suite)}[./]"] if suite else []
    return [str(BUNDLE), "--testing-library", "swift-testing", *chosen,
            *(word for each in skipping for word in ("--skip", f"^{re.escape(each)}[./]"))]


class Run:
    """Runs a command to its end, with folders of its own for states and temporary files."""

    def __init__(self, words, environment=None, patience=3600):
        self.lines = []
        folder = tempfile.mkdtemp(prefix="tb-")
        # Tests that give up root's rights work in it, too.
        os.chmod(folder, 0o1777)
        begun = time.monotonic()
        surroundings = {**os.environ, "TMPDIR": folder, "XDG_STATE_HOME": folder + "/state", **(environment or {})}
        if PYTHON.exists():
            surroundings.setdefault("TAPBRIDGE_PYTHON", str(PYTHON))
        process = subprocess.Popen(words, cwd=ROOT, env=surroundings, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.STDOUT, text=True, errors="replace", start_new_session=True)
        # A test's children may hold the pipe for longer than it lives: what is read ends with the process, too.
        reading = threading.Thread(target=self.read, args=(process.stdout,), daemon=True)
        reading.start()
        try:
            self.status = process.wait(patience)
        except subprocess.TimeoutExpired:
            self.status = None
            self.lines.append(f"✘ {' '.join(words)} did not end within {patience} s\n")
        except BaseException:
            self.end(process)
            raise
        finally:
            self.seconds = time.monotonic() - begun
        self.end(process)
        reading.join(10)
        shutil.rmtree(folder, ignore_errors=True)

    def read(self, output):
        for line in output:
            # The test library colours its lines in a pipe, too.
            self.lines.append(COLOURS.sub("", line))

    @staticmethod
    def end(process):
        """Whatever it left running is of its own session."""
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        process.wait()

    @property
    def text(self):
        return "".join(self.lines)

    @property
    def count(self):
        """How many tests were run."""
        found = re.findall(r"Test run with (\d+) tests?", self.text)
        return sum(map(int, found)) if found else len(re.findall(r"(?m)^(?:ok|FAILED)  +\w+ \(", self.text))

    @property
    def problem(self):
        """Why it counts as failed; nothing if it does not."""
        if self.status is None:
            return "did not end"
        if self.status:
            return f"ended with {self.status}" if self.status > 0 else f"was ended by {signal.Signals(-self.status).name}"
        return None if self.count else "ran no test"

    @property
    def failures(self):
        """The tests that failed, and where."""
        return [line.rstrip() for line in self.lines if re.match(r"✘ Test .* recorded an issue|✘ Test .* failed|FAILED |.*Fatal error", line)]

    @property
    def closing(self):
        """The last word of the test run."""
        return [line.rstrip() for line in self.lines if "Test run with" in line or "console's tests" in line or "crash test:" in line]

    @property
    def suites(self):
        """(seconds, name) of each suite, or of each of the console's tests."""
        found = re.findall(r'(?m)^[^\n]*Suite "?(.+?)"? (?:passed|failed) after ([\d.]+) seconds', self.text)
        found += re.findall(r"(?m)^(?:ok|FAILED)  +(\w+) \(([\d.]+) s\)", self.text)
        return [(float(seconds), name) for name, seconds in found]


def require_build():
    missing = [str(each) for each in (BUNDLE, BUILD / "tapbridge") if not each.exists()]
    if missing:
        sys.exit(f"{', '.join(missing)} is missing: swift build --build-tests")

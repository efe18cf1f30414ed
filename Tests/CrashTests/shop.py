"""A host, a daemon that asks it through a line that can be cut, and the faults that befall them."""
import http.client
import json
import os
import pathlib
import shutil
import signal
import socket
import sqlite3
import struct
import subprocess
import threading
import time
import urllib.parse

ROOT = pathlib.Path(__file__).resolve().parents[2]
# A start that takes longer is a difference.
START_SECONDS = 10
# Terminals that the daemon begins with.
TERMINALS = 8
# Cards of a seed. Each pays once, as the host refuses a transaction counter that comes again, which it does where a daemon is
# killed. A refund goes to the card that paid, as far as its masked number tells: so there are some to each masked number.
MASKED_NUMBERS = 400
CARDS_OF_A_NUMBER = 4
# The tmpfs whose filling is a fault: more than the journal's reserve, and soon full.
DISK_MEGABYTES = 24

running = set()
running_lock = threading.Lock()
is_over = False


def end_all():
    """Whatever still runs, however this program ends; nothing starts any more."""
    global is_over
    with running_lock:
        is_over = True
        left = list(running)
    for process in left:
        if process.poll() is None:
            process.kill()
            process.wait()


def card_number(masked, use):
    """A card number whose masked digits differ with its use, and make the check digit right (ISO/IEC 7812-1, annex B)."""
    def number(digit):
        return f"4761739{use:04d}{digit}{masked:04d}"

    def is_valid(digits):
        return sum(int(d) if place % 2 else sum(divmod(2 * int(d), 10)) for place, d in enumerate(digits)) % 10 == 0
    return next(number(digit) for digit in range(10) if is_valid(number(digit)))


def world():
    """The issuers of the test world with cards of our own, whose account is never empty."""
    text = (ROOT / "Sources/Simulators/Issuing/Worlds/test-world.yaml").read_text()
    account = "accounts:\n  - { id: crash, kind: credit, currency: 978, credit_limit: 900000000 }\n"
    cards = "cards:\n" + "".join(
        f"  - {{ id: crash-{masked}-{use}, number: {card_number(masked, use)}, sequence: 1, expires: 2031-12, account: crash, cryptogram: visa-cvn10 }}\n"
        for masked in range(MASKED_NUMBERS) for use in range(CARDS_OF_A_NUMBER))
    return text.replace("\naccounts:\n", "\n" + account, 1).replace("\ncards:\n", "\n" + cards, 1)


class Answer:
    """What a client was told: no status where no response came, which says nothing of what was done."""

    def __init__(self, status=None, body=None, was_sent=True):
        self.status, self.body, self.was_sent = status, body if isinstance(body, dict) else {}, was_sent

    @property
    def is_unknown(self):
        return self.was_sent and (self.status is None or self.status >= 500)


class Line:
    """Forwards a port to the host's, until it is cut, or swallows what it should forward."""

    def __init__(self):
        self.server = socket.create_server(("127.0.0.1", 0))
        self.port = self.server.getsockname()[1]
        self.host_port = None
        self.is_silent = False
        self.lock = threading.Lock()
        self.sockets = set()
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                near, _ = self.server.accept()
            except OSError:
                return
            try:
                far = socket.create_connection(("127.0.0.1", self.host_port or 1), 5)
            except OSError:
                near.close()
                continue
            far.settimeout(None)
            with self.lock:
                self.sockets |= {near, far}
            for source, target in ((near, far), (far, near)):
                threading.Thread(target=self.forward, args=(source, target), daemon=True).start()

    def forward(self, source, target):
        try:
            while data := source.recv(65536):
                if not self.is_silent:
                    target.sendall(data)
        except OSError:
            pass
        self.close({source, target})

    def close(self, sockets):
        with self.lock:
            self.sockets -= sockets
        for each in sockets:
            try:
                each.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            each.close()

    def cut(self):
        with self.lock:
            sockets = set(self.sockets)
        self.close(sockets)

    def end(self):
        self.server.close()
        self.cut()


class Shop:
    """One seed's processes, in a folder of their own."""

    def __init__(self, program, folder, schedule, libraries):
        self.program, self.folder, self.schedule = program, folder, schedule
        self.differences = []
        self.counts = {}
        self.lock = threading.Lock()
        self.url = None
        self.daemon = self.host = self.holder = None
        self.lives = {"daemon": 0, "host": 0}
        # What is expected of the present daemon: whether it was told to end, and whether its journal was made to fail.
        self.journal_failed = False
        self.journal_failed_ever = False
        self.journal_fails = False
        # Times at which the daemon was asked to end: from then on it may say that it is stopping.
        self.endings = 0
        self.line = Line()
        kinds = {event.kind for event in schedule}
        (folder / "state").mkdir()
        (folder / "acquirer.yaml").write_text(
            f'name: crash\nhosts: ["127.0.0.1:{self.line.port}"]\n'
            "connection: { connect-timeout: 2s, answer-timeout: 2s, first-pause: 100ms, longest-pause: 1s }\n"
            "messages: { dialect: generic-bcd }\n")
        (folder / "world.yaml").write_text(world())
        self.disk = None
        if "fill" in kinds:
            self.disk = folder / "disk"
            self.disk.mkdir()
            subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_MEGABYTES}m", "tmpfs", str(self.disk)], check=True)
        self.journal = (self.disk or folder) / "journal.sqlite"
        self.environment = {**os.environ, "XDG_STATE_HOME": str(folder / "state")}
        self.preloaded = []
        self.fault_control = folder / "journal-fault"
        self.clock_control = folder / "clock-jump"
        if kinds & {"enospc", "eio-once", "eio-sync", "doubt"}:
            self.preloaded.append(libraries["journal_faults"])
        if "clock" in kinds:
            self.set_clock(0)
            self.preloaded.append(libraries["clock_jumps"])

    # What went wrong, and what was done

    def differs(self, kind, text):
        with self.lock:
            self.differences.append((kind, text))

    def count(self, what):
        with self.lock:
            self.counts[what] = self.counts.get(what, 0) + 1

    # Processes

    def run(self, name, words, environment):
        self.lives[name] += 1
        paths = [self.folder / f"{name}-{self.lives[name]}.{suffix}" for suffix in ("out", "err")]
        with open(paths[0], "wb") as output, open(paths[1], "wb") as errors, running_lock:
            if is_over:
                raise RuntimeError("the crash test was ended")
            process = subprocess.Popen([self.program, *words], stdin=subprocess.DEVNULL, stdout=output, stderr=errors,
                                       env=environment, cwd=self.folder)
            running.add(process)
        return process, paths

    def first_line(self, process, path):
        """The first line of a process's output; nothing if it ends or is too late."""
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            line, newline, _ = path.read_bytes().partition(b"\n")
            if newline:
                return line.decode()
            if process.poll() is not None:
                return None
            time.sleep(0.02)
        return None

    def start_host(self, troubles):
        words = ["host", "serve", "--listen", "127.0.0.1:0", "--json", "--books", str(self.folder / "host.json"), "--world",
                 str(self.folder / "world.yaml")]
        for trouble in troubles:
            words += ["--trouble", trouble]
        self.host, (output, errors) = self.run("host", words, self.environment)
        line = self.first_line(self.host, output)
        if line is None:
            self.differs("start", f"the host did not start within {START_SECONDS} s (exit code {self.host.poll()}): {tail(errors)}")
            return
        self.line.host_port = int(json.loads(line)["peer"].rsplit(":", 1)[1])

    def start_daemon(self):
        """Starts it; a start fails as it may where the journal is made to fail."""
        words = ["serve", "--port", "0", "--terminals", str(TERMINALS), "--acquirer", str(self.folder / "acquirer.yaml"),
                 "--journal", str(self.journal), "--log-format", "json", "--log-level", "notice"]
        environment = dict(self.environment)
        if self.preloaded:
            environment.update(LD_PRELOAD=":".join(map(str, self.preloaded)), JOURNAL_FAULT_CONTROL=str(self.fault_control),
                               CLOCK_JUMP_CONTROL=str(self.clock_control))
        self.journal_failed = self.journal_fails
        self.daemon, (output, errors) = self.run("daemon", words, environment)
        self.count("starts")
        line = self.first_line(self.daemon, output)
        if line is not None:
            self.url = line.split()[-1]
            return True
        if not self.journal_fails:
            self.differs("start", f"start {self.lives['daemon']} of the daemon did not listen within {START_SECONDS} s "
                                  f"(exit code {self.daemon.poll()}): {tail(errors)}")
        self.kill(self.daemon)
        return False

    @staticmethod
    def kill(process):
        if process and process.poll() is None:
            process.kill()
            process.wait()

    def look_after_daemon(self):
        """A daemon that ended by itself is started again, as systemd does."""
        if self.daemon is None or self.daemon.poll() is None:
            return
        code = self.daemon.returncode
        if code != -signal.SIGKILL:
            self.count("ended by itself")
            if code != 4 or not self.journal_failed:
                self.differs("end", f"life {self.lives['daemon']} of the daemon ended by itself: exit code {code}, "
                                    f"{'its journal was made to fail' if self.journal_failed else 'nothing was the matter with its journal'}: "
                                    f"{tail(self.folder / ('daemon-%d.err' % self.lives['daemon']))}")
        self.start_daemon()

    def pause(self, seconds):
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.look_after_daemon()
            time.sleep(min(left, 0.1))

    def terminate(self, process, name, patience=40):
        if process is None or process.poll() is not None:
            return
        process.terminate()
        try:
            code = process.wait(patience)
        except subprocess.TimeoutExpired:
            self.differs("end", f"the {name} did not end within {patience} s of SIGTERM")
            return self.kill(process)
        if code != 0:
            self.differs("end", f"the {name} ended with {code} after SIGTERM")

    # Faults: each returns when it is over

    def befall(self, event):
        self.count(event.kind)
        getattr(self, "fault_" + event.kind.replace("-", "_"))(event)

    def fault_kill_daemon(self, event):
        self.kill(self.daemon)
        time.sleep(event.seconds)
        self.start_daemon()

    def fault_kill_host(self, event):
        self.kill(self.host)
        self.pause(event.seconds)
        self.start_host(event.troubles)

    def fault_kill_both(self, event):
        for process in (self.daemon, self.host) if event.choice else (self.host, self.daemon):
            self.kill(process)
        time.sleep(event.seconds)
        if event.choice:
            self.start_host(event.troubles)
            self.start_daemon()
        else:
            self.start_daemon()
            self.start_host(event.troubles)

    def fault_restart_daemon(self, event):
        daemon, failed = self.daemon, self.journal_failed
        if failed:
            self.kill(daemon)
        else:
            self.endings += 1
            self.terminate(daemon, "daemon")
            self.endings += 1
        self.start_daemon()

    def fault_stop_daemon(self, event):
        self.stop(self.daemon, event)

    def fault_stop_host(self, event):
        self.stop(self.host, event)

    @staticmethod
    def stop(process, event):
        if process is None or process.poll() is not None:
            return
        process.send_signal(signal.SIGSTOP)
        time.sleep(event.seconds)
        process.send_signal(signal.SIGCONT)

    def fault_cut(self, event):
        self.line.cut()

    def fault_silent_line(self, event):
        self.line.is_silent = True
        self.pause(event.seconds)
        self.line.is_silent = False
        # Whoever lost a part of a message cannot read the next.
        self.line.cut()

    def journal_fault(self, is_on):
        self.journal_fails = is_on
        self.journal_failed = self.journal_failed_ever = True

    def fault_lock(self, event):
        """Another program holds the journal."""
        journal = sqlite3.connect(self.journal, isolation_level=None, timeout=5)
        try:
            self.journal_fault(True)
            journal.execute("BEGIN IMMEDIATE")
            self.pause(event.seconds)
            journal.execute("ROLLBACK")
        except sqlite3.Error as error:
            self.count(f"lock not got ({error})")
        finally:
            journal.close()
            self.journal_fault(False)

    def preload_fault(self, name, seconds):
        self.journal_fault(True)
        write(self.fault_control, name.encode())
        self.pause(seconds)
        write(self.fault_control, b"")
        self.journal_fault(False)

    def fault_enospc(self, event):
        self.preload_fault("enospc", event.seconds)

    def fault_eio_sync(self, event):
        self.preload_fault("eio-sync", event.seconds)

    def fault_eio_once(self, event):
        self.preload_fault("eio-once", event.seconds)

    def fault_doubt(self, event):
        self.preload_fault("doubt", event.seconds)

    def fault_clock(self, event):
        for days in event.jumps:
            self.set_clock(days * 86400)
            self.pause(event.seconds / len(event.jumps))

    def set_clock(self, seconds):
        # In place: the daemon has it mapped.
        with open(self.clock_control, "r+b" if self.clock_control.exists() else "wb") as file:
            file.write(struct.pack("=q", seconds))

    def fault_fill(self, event):
        """The disk is full to the last byte, and empty again."""
        self.journal_fault(True)
        filler = self.disk / "filler"
        try:
            with open(filler, "wb", buffering=0) as file:
                for size in (1 << 20, 4096, 1):
                    try:
                        while True:
                            file.write(b"\0" * size)
                    except OSError:
                        pass
            self.pause(event.seconds)
        finally:
            filler.unlink(missing_ok=True)
            self.journal_fault(False)

    # The API

    def ask(self, method, path, body=None, key=None, patience=10, cut=False):
        """One request on a connection of its own. With `cut` the connection is closed before the response is read."""
        url, endings = self.url, self.endings
        if url is None:
            return Answer(was_sent=False)
        place = urllib.parse.urlsplit(url)
        headers = {"Content-Type": "application/json"} if body is not None else {}
        if key:
            headers["Idempotency-Key"] = key
        connection = http.client.HTTPConnection(place.hostname, place.port, timeout=patience)
        try:
            try:
                connection.connect()
            except OSError:
                return Answer(was_sent=False)
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            if cut:
                return Answer()
            response = connection.getresponse()
            data = response.read()
            if response.status >= 500:
                self.count(f"answers {response.status}")
                is_ending = endings % 2 == 1 or endings != self.endings
                is_excused = self.journal_failed_ever or is_ending
                # 502: the host does not settle.
                if response.status == 500 or response.status == 503 and not is_excused:
                    self.differs("5xx", f"{method} {path}: {response.status} {data.decode(errors='replace')[:300]}")
            try:
                return Answer(response.status, json.loads(data) if data else {})
            except ValueError:
                return Answer(response.status)
        except (OSError, http.client.HTTPException):
            return Answer()
        finally:
            connection.close()

    # The end

    def settle(self, patience):
        """Starts both a last time without faults, and waits until nothing is unfinished."""
        for process in (self.daemon, self.host):
            if process and process.poll() is None:
                process.send_signal(signal.SIGCONT)
        self.line.is_silent = False
        if self.preloaded:
            self.set_clock(0)
            write(self.fault_control, b"")
        self.kill(self.daemon)
        self.terminate(self.host, "host")
        self.line.cut()
        self.start_host([])
        if not self.start_daemon():
            self.url = None
            return
        states = "started,card-read,request-written,deferred,authorizing,answered,adjustment-due,reversal-due,approved-offline"
        deadline = time.monotonic() + patience
        while True:
            # All of them, should a version of the API not know the filter.
            left = [each for each in self.journal_rows() if each["state"] in states.split(",")]
            if not left or time.monotonic() > deadline:
                break
            time.sleep(0.3)
        for each in left:
            self.differs("open", f"{each['id']} at {each['terminal']} is still {each['state']} {patience} s after the last start"
                                 f"{', parked' if each.get('parked') else ''}")
        ready = self.ask("GET", "/readyz")
        if ready.status != 200:
            self.differs("ready", f"/readyz at the end: {ready.status} {ready.body}")

    def journal_rows(self):
        """What the daemon says that the journal has."""
        rows, cursor = [], ""
        while True:
            page = self.ask("GET", f"/v1/journal?limit=200{cursor}")
            rows += page.body.get("items", [])
            if not page.body.get("next"):
                return rows
            cursor = "&cursor=" + page.body["next"]

    def close(self):
        self.terminate(self.daemon, "daemon")
        self.terminate(self.host, "host")

    def remove(self, keep):
        """Whatever happened: nothing runs, nothing is mounted."""
        for process in (self.daemon, self.host):
            self.kill(process)
        self.line.end()
        if self.disk:
            if keep:
                shutil.copytree(self.disk, self.folder / "disk-as-it-was", ignore=shutil.ignore_patterns("*.reserve"))
            subprocess.run(["umount", str(self.disk)], check=False)
        if not keep:
            shutil.rmtree(self.folder, ignore_errors=True)


def write(path, data):
    fresh = path.with_suffix(".new")
    fresh.write_bytes(data)
    fresh.replace(path)


def tail(path):
    lines = path.read_text(errors="replace").splitlines()
    return " | ".join(lines[-3:])[:600]

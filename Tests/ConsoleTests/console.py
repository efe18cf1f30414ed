#!/usr/bin/env python3
"""The daemon's console in headless Chromium: console.py PROGRAM [FOLDER FOR SCREENSHOTS]

Starts daemons with journals of their own, does with the page what people do, and reads what it shows. Anything that the
browser reports as an error (scripts, the content security policy, failed requests) fails the run, and so does what axe-core
finds in any view.

    ONLY=drags,sounds console.py ...    only tests with one of these in their name
    PAGE=Sources/TerminalService/Console/Page console.py ...    the page from these files, not from those compiled in
    PATIENCE=120000 console.py ...    milliseconds that anything is waited for
"""
import os
import pathlib
import shutil
import sys
import tempfile
import time

sys.dont_write_bytecode = True

from playwright.sync_api import sync_playwright

import books
import desk
import late
import line
import payments


def main():
    if desk.PROGRAM is None:
        raise SystemExit(__doc__)
    browser_path = os.environ.get("CHROMIUM") or shutil.which("chromium")
    if not browser_path:
        raise SystemExit("chromium is not installed")
    wanted = [word for word in os.environ.get("ONLY", "").split(",") if word]
    failed = 0
    folder = pathlib.Path(tempfile.mkdtemp(prefix="tapbridge-console-"))
    stage = None
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=browser_path, args=["--no-sandbox", "--disable-dev-shm-usage"])
            stage = desk.Stage(browser, folder)
            for test in payments.TESTS + books.TESTS + line.TESTS + late.TESTS:
                if wanted and not any(word in test.__name__ for word in wanted):
                    continue
                begun = time.monotonic()
                problem = None
                try:
                    test(stage)
                except Exception as error:  # told, and the next test is made
                    problem = error
                try:
                    stage.end(has_failed=problem is not None)
                except Exception as error:
                    problem = problem or error
                took = f"({time.monotonic() - begun:.1f} s)"
                if problem:
                    failed += 1
                    print("FAILED ", test.__name__, took, type(problem).__name__, str(problem)[:3000], flush=True)
                else:
                    print("ok     ", test.__name__, took, flush=True)
            browser.close()
    finally:
        for daemon in stage.daemons if stage else []:
            daemon.stop()
        shutil.rmtree(folder, ignore_errors=True)
    if failed:
        raise SystemExit(f"{failed} of the console's tests failed")


if __name__ == "__main__":
    main()

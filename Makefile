# Tapbridge. On a fresh Debian 12 with a Swift 6.2+ toolchain: `make demo`, `make test`.

SWIFT       ?= swift
PREFIX      ?= /usr/local
DESTDIR     ?=
VENV        := .build/venv
# What building needs, and what the tests need besides: pcscd with its virtual reader, an independent
# PC/SC client, and Python for the oracles.
BUILD_PACKAGES := pkg-config libssl-dev libpcsclite-dev libnfc-dev libsqlite3-dev
TEST_PACKAGES  := pcscd vsmartcard-vpcd libnfc-bin libnfc-examples opensc openssl gcc libc6-dev iproute2 udev python3-venv curl chromium
ORACLES        := iso4217==1.16.20260101 pyemv==1.5.0 psec==1.3.0 pyiso8583==4.0.1 openapi-spec-validator==0.9.0 jsonschema==4.26.0 prometheus_client==0.26.0 schemathesis==4.32.5 playwright==1.65.2 axe-playwright-python==0.1.8
DEB_PACKAGES   := dpkg-dev python3 binutils
# A small system that systemd runs, for the package's units.
SYSTEMD_PACKAGES := systemd-container mmdebstrap procps

.PHONY: all bootstrap bootstrap-tests demo test test-repeat crash-test simulate fuzz bench docs lint format release install deb test-systemd clean help

all: release

help:
	@echo "make demo      install missing packages, build, and watch a terminal take payments"
	@echo "make test      install what tests need and run them all"
	@echo "make test-repeat  each suite that starts a process, a port or a browser 30 times beside a load (SUITES=..., RUNS=...)"
	@echo "make crash-test  kill a terminal 400 times; then SEEDS schedules of faults, the ledgers of clients, journal and host compared"
	@echo "make simulate  a million payments against a modelled journal and host, with faults and crashes from seeds (WORLDS=..., FIRST=...)"
	@echo "make fuzz      look for inputs that break a parser or a kernel (FUZZ_SECONDS each, FUZZ_TARGETS=\"name ...\")"
	@echo "make bench     print the benchmarks"
	@echo "make release   build the optimised program (.build/release/tapbridge)"
	@echo "make install   install the program under PREFIX ($(PREFIX))"
	@echo "make deb       build the Debian package (.build/tapbridge_VERSION_ARCH.deb)"
	@echo "make test-systemd  start the package's units in a system of their own that systemd runs (needs root)"
	@echo "make docs      build the libraries' documentation"
	@echo "make lint      check the style;  make format  mends it"

# Installs the Debian packages named in $(1) that are missing; does nothing, and needs no root, when all
# are there.
define install_packages
	@missing=""; for package in $(1); do \
	  dpkg-query -W -f='$${Status}' $$package 2>/dev/null | grep -q 'ok installed' || missing="$$missing $$package"; \
	done; \
	if [ -n "$$missing" ]; then \
	  command -v apt-get >/dev/null || { echo "Please install:$$missing"; exit 1; }; \
	  sudo=""; [ "$$(id -u)" = 0 ] || sudo=sudo; \
	  echo "Installing$$missing"; \
	  $$sudo apt-get update -q >/dev/null || true; \
	  DEBIAN_FRONTEND=noninteractive $$sudo apt-get install -y -q --no-install-recommends $$missing >/dev/null || exit 1; \
	fi
endef

bootstrap:
	@command -v $(SWIFT) >/dev/null || { echo "No Swift toolchain found: see https://www.swift.org/install/linux/"; exit 1; }
	$(call install_packages,$(BUILD_PACKAGES))

bootstrap-tests: bootstrap
	$(call install_packages,$(TEST_PACKAGES))
	@test -x $(VENV)/bin/python || python3 -m venv $(VENV)
	@$(VENV)/bin/python -c 'import iso4217, pyemv, psec, iso8583, openapi_spec_validator, jsonschema, prometheus_client, schemathesis, playwright, axe_playwright_python' 2>/dev/null || $(VENV)/bin/pip install -q --disable-pip-version-check $(ORACLES)

# Swift's own libraries are linked in: the program needs no toolchain where it runs, and the Debian package takes it as it is.
release: bootstrap
	$(SWIFT) build -c release --product tapbridge --static-swift-stdlib

# The demonstration alone, in debug: `make test` uses the same modules again.
demo: bootstrap
	@echo "Building the demonstration: two to four minutes on two cores the first time"
	$(SWIFT) build --product tapbridge-demo
	@.build/debug/tapbridge-demo

# JOBS: groups of suites that run at the same time. Beside a load: Tests/load.py make test
JOBS ?= 1
test: export TAPBRIDGE_PYTHON = $(CURDIR)/$(VENV)/bin/python
test: bootstrap-tests
	$(SWIFT) build --build-tests
	@Tests/run.py --jobs $(JOBS)

# SUITES: test targets or their suites, as ReadersTests or ReadersTests.PCSCReaderTests; all that depend on more than their own
# computing by default. A failure ends it with a status other than 0, after the table.
RUNS   ?= 30
SUITES ?=
test-repeat: export TAPBRIDGE_PYTHON = $(CURDIR)/$(VENV)/bin/python
test-repeat: bootstrap-tests
	$(SWIFT) build --build-tests
	@Tests/repeat.py --runs $(RUNS) $(SUITES)

# A terminal's process killed CRASHES times, anywhere, against a host with books of its own; then SEEDS schedules of faults that
# befall daemon, host, journal, clock and line while clients pay. Filled disks take root.
CRASHES ?= 400
SEEDS   ?= 200
crash-test: bootstrap-tests
	TAPBRIDGE_CRASHES=$(CRASHES) $(SWIFT) test --filter CrashTests
	@Tests/CrashTests/crash.py .build/debug/tapbridge --seeds $(SEEDS) --jobs 2

# The payment, its recovery and its store-and-forward queue as machines, in WORLDS worlds of some 30 payments each, from the seed
# FIRST on: a million payments by default. Ends with the first seed that fails, and its events. Tests/Simulation/README.md
WORLDS ?= 35000
FIRST  ?= 1
simulate: bootstrap
	$(SWIFT) build -c release --product simulate
	@.build/release/simulate --seeds $(WORLDS) --first $(FIRST)

# libFuzzer on each target of Tests/Fuzzing/Targets, optimised, in a build folder of its own. What reaches new code goes into
# the corpus of the repository; what breaks something, into .build-fuzz/findings.
FUZZ_SECONDS ?= 60
FUZZ_JOBS    ?= 2
FUZZ_TARGETS ?=
FUZZ_BUILD   := --scratch-path .build-fuzz -c release --product fuzzer -Xswiftc -sanitize=fuzzer -Xswiftc -use-ld=lld
fuzz: bootstrap
	TAPBRIDGE_FUZZING=1 $(SWIFT) build $(FUZZ_BUILD)
	@FUZZ_SECONDS=$(FUZZ_SECONDS) FUZZ_JOBS=$(FUZZ_JOBS) Tests/Fuzzing/fuzz.sh .build-fuzz/release/fuzzer .build-fuzz $(FUZZ_TARGETS)

# Benchmarks are a package of their own. PAIRED="--old '...' --new '...' NAMES" compares two programs in turns.
PAIRED ?=
bench: release
	$(SWIFT) build -c release --package-path Benchmarks --scratch-path .build/benchmarks
	@.build/benchmarks/release/benchmarks $(if $(PAIRED),paired $(PAIRED))

# The libraries' documentation, to be opened in a browser through any web server.
LIBRARIES := TapbridgeKit BERTLV SmartCard EMV EMVCryptography EMVDictionary ISO8583 ISO8583Dialects Traces Kernels Cards PN532 \
             CardReaders Acquiring PCSCReaders LibNFCReaders RemoteReaders SoftwarePN532 ISO8583Backend HTTPBackend AcquirerFiles \
             Journal Issuing AcquirerSimulator AcquirerHost Terminal TerminalService
docs: bootstrap
	$(SWIFT) package --allow-writing-to-directory .build/docs generate-documentation \
	  $(foreach library,$(LIBRARIES),--target $(library)) --enable-experimental-combined-documentation \
	  --output-path .build/docs
	@echo "documentation: .build/docs (python3 -m http.server -d .build/docs, then /documentation)"

lint:
	$(SWIFT) format lint -r -s Sources Tests Benchmarks/Sources Examples Package.swift Benchmarks/Package.swift

format:
	$(SWIFT) format -i -r Sources Tests Benchmarks/Sources Examples Package.swift Benchmarks/Package.swift

install: release
	install -D -m 755 .build/release/tapbridge $(DESTDIR)$(PREFIX)/bin/tapbridge
	install -d $(DESTDIR)$(PREFIX)/share/bash-completion/completions
	.build/release/tapbridge --generate-completion-script bash > $(DESTDIR)$(PREFIX)/share/bash-completion/completions/tapbridge
	packaging/manpages.py .build/release/tapbridge $(DESTDIR)$(PREFIX)/share/man/man1

deb: release
	$(call install_packages,$(DEB_PACKAGES))
	packaging/build-deb.sh .build/release/tapbridge .build
	packaging/test-deb.sh "$$(ls -t .build/tapbridge_*.deb | head -1)"

# Not a part of `make test`: it takes root, and a Debian mirror the first time.
test-systemd: deb
	$(call install_packages,$(SYSTEMD_PACKAGES))
	@sudo=""; [ "$$(id -u)" = 0 ] || sudo=sudo; \
	$$sudo packaging/test-systemd.sh "$$(ls -t .build/tapbridge_*.deb | head -1)"

clean:
	rm -rf .build .build-fuzz

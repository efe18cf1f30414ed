#!/bin/sh
# Installs the package into a small system that systemd runs (systemd-nspawn, no network but its own loopback) and sees the
# units work there: test-systemd.sh PACKAGE. The system is made once and kept in SYSTEMD_ROOT (.build/systemd-root.tar);
# each run has a copy of its own, which goes when it ends. SUITE names the Debian release, this machine's by default.
set -eu
[ $# = 1 ] && [ -f "$1" ] || {
  echo "usage: test-systemd.sh PACKAGE (make deb builds one)" >&2
  exit 64
}
package=$(realpath "$1")
top=$(cd "$(dirname "$0")/.." && pwd)
[ "$(id -u)" = 0 ] || {
  echo "test-systemd.sh starts a system of its own and needs root: sudo $0 $1" >&2
  exit 77
}
for program in systemd-nspawn:systemd-container mmdebstrap:mmdebstrap nsenter:util-linux ps:procps dpkg-deb:dpkg; do
  command -v "${program%%:*}" >/dev/null || {
    echo "${program%%:*} is missing: apt-get install ${program#*:}" >&2
    exit 77
  }
done
export LC_ALL=C.UTF-8

work=$(mktemp -d)
root=$work/root
nspawn=
leader=
finish() {
  status=$?
  trap - EXIT INT TERM
  if [ "$status" != 0 ] && [ -n "$leader" ]; then
    echo "--- the units' last words" >&2
    in_root journalctl --no-pager -q -n 40 -u 'tapbridge*' -u 'test-*' >&2 || true
  fi
  halt
  rm -rf "$work"
  exit "$status"
}
trap finish EXIT
trap 'exit 130' INT TERM
fail() {
  echo "FAILED: $*" >&2
  exit 1
}
step() { echo "$*"; }
saw() { echo "  $*"; }

# MARK: the system

# Everything the package needs, and what the test talks to.
make_root() {
  kept=${SYSTEMD_ROOT:-$top/.build/systemd-root.tar}
  suite=${SUITE:-$(. /etc/os-release && echo "${VERSION_CODENAME:-bookworm}")}
  needed=$(dpkg-deb -f "$package" Depends | tr ',' '\n' | sed 's/[|(].*//; s/ //g')
  packages=$(printf '%s\n' systemd systemd-sysv dbus udev polkitd pcscd libccid vsmartcard-vpcd curl openssl dnsmasq-base iproute2 \
    procps $needed | LC_ALL=C sort -u | paste -sd, -)
  if [ ! -s "$kept" ] || [ "$(cat "$kept.list" 2>/dev/null)" != "$suite $packages" ]; then
    step "making a system of $suite (kept in $kept)"
    mkdir -p "$(dirname "$kept")"
    rm -f "$kept" "$kept.list"
    mmdebstrap --quiet --mode=root --variant=apt --include="$packages" "$suite" "$kept" >"$work/mmdebstrap" 2>&1 ||
      { tail -20 "$work/mmdebstrap" >&2 && fail "mmdebstrap"; }
    echo "$suite $packages" >"$kept.list"
  fi
  mkdir "$root"
  tar -xf "$kept" -C "$root"
  echo tapbridge-test >"$root/etc/hostname"
  printf '127.0.0.1 localhost tapbridge-test\n::1 localhost\n' >"$root/etc/hosts"
  # Only the name server that the test runs knows hosts.
  rm -f "$root/etc/resolv.conf"
  printf 'nameserver 127.0.0.1\noptions timeout:1 attempts:1\n' >"$root/etc/resolv.conf"
}

boot() {
  set -- --quiet --settings=no --directory="$root" --machine="tapbridge-test-$$" --register=no --private-network \
    --resolv-conf=off --timezone=off --link-journal=no --console=pipe --boot
  # The inner systemd enforces DevicePolicy by bpf.
  set -- --system-call-filter=bpf "$@"
  # Without systemd outside there is nobody to make a scope: the system is in control groups of its own all the same.
  groups=
  if [ ! -d /run/systemd/system ]; then
    set -- "$@" --keep-unit
    for hierarchy in /sys/fs/cgroup /sys/fs/cgroup/unified /sys/fs/cgroup/systemd; do
      if [ -e "$hierarchy/cgroup.procs" ] && mkdir "$hierarchy/tapbridge-test-$$"; then groups="$groups $hierarchy/tapbridge-test-$$"; fi
    done
  fi
  (
    for group in $groups; do echo 0 >"$group/cgroup.procs"; done
    SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1 exec systemd-nspawn "$@"
  ) </dev/null >"$work/console" 2>&1 &
  nspawn=$!
  find_leader
}

# The system's process 1, as this machine sees it, and its state when it is up.
find_leader() {
  deadline=$(($(date +%s) + 60))
  state=
  while [ "$state" != running ] && [ "$state" != degraded ]; do
    sleep 0.5
    kill -0 "$nspawn" 2>/dev/null || { cat "$work/console" >&2 && fail "the system does not start"; }
    [ "$(date +%s)" -lt "$deadline" ] || fail "the system does not come up: ${state:-no systemd}"
    leader=$(ps -o pid=,comm= --ppid "$nspawn" | sed -n 's/^ *\([0-9]*\) systemd$/\1/p')
    [ -z "$leader" ] || state=$(in_root systemctl is-system-running 2>/dev/null) || true
  done
  [ "$state" = running ] || saw "units that failed: $(in_root systemctl list-units --failed --plain --no-legend | cut -d' ' -f1 | paste -sd' ')"
}

halt() {
  [ -n "$nspawn" ] || return 0
  kill -TERM "$nspawn" 2>/dev/null || true
  for _ in $(seq 60); do
    kill -0 "$nspawn" 2>/dev/null || break
    sleep 0.5
  done
  kill -KILL "$nspawn" 2>/dev/null || true
  wait "$nspawn" 2>/dev/null || true
  nspawn=
  leader=
  for group in $groups; do find "$group" -depth -type d -exec rmdir {} \; 2>/dev/null || true; done
}

in_root() {
  nsenter --target "$leader" --mount --uts --ipc --net --pid --cgroup -- \
    env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 "$@"
}
# A program in the background, by a name; `in_root systemctl stop NAME` ends it.
background() {
  name=$1
  shift
  in_root systemd-run --quiet --collect --unit="$name" --setenv=HOME=/root "$@"
}
as_user() {
  user=$1
  shift
  in_root systemd-run --quiet --collect --pipe --wait --property=User="$user" --setenv=HOME=/tmp "$@"
}
# property NAME UNIT
property() { in_root systemctl show --property="$1" --value "$2"; }
until_true() {
  seconds=$1
  shift
  deadline=$(($(date +%s) + seconds))
  until "$@" >/dev/null 2>&1; do
    [ "$(date +%s)" -lt "$deadline" ] || return 1
    sleep 0.2
  done
}
# said UNIT PATTERN [TIMES]
said() { [ "$(in_root journalctl --no-pager -q -o cat -u "$1" | grep -c -- "$2")" -ge "${3:-1}" ]; }
has_property() { [ "$(property "$1" "$3")" = "$2" ]; }

# drop_in UNIT NAME LINE...: more settings of a unit's section [Service], until the next boot
drop_in() {
  unit=$1 name=$2
  shift 2
  in_root mkdir -p "/run/systemd/system/$unit.service.d"
  printf '%s\n' '[Service]' "$@" | in_root tee "/run/systemd/system/$unit.service.d/$name.conf" >/dev/null
  in_root systemctl daemon-reload
}

# MARK: the daemon's API

api=http://127.0.0.1:8473
get() { in_root curl -sS --max-time 60 "$@"; }
text_of() { grep -o "\"$1\":\"[^\"]*\"" | head -1 | cut -d'"' -f4; }
# start_payment TERMINAL AMOUNT [CARD]: its id
start_payment() {
  tap=
  [ $# -lt 3 ] || tap=",\"tap\":{\"card\":\"$3\"}"
  body="{\"terminal\":\"$1\",\"amount\":$2$tap}"
  answer=$(get "$api/v1/payments" -H 'Content-Type: application/json' -H "Idempotency-Key: test-$(date +%s%N)" -d "$body")
  id=$(echo "$answer" | text_of id)
  [ -n "$id" ] || fail "no payment: $answer"
  echo "$id"
}
result() { get "$api/v1/payments/$1?wait=40" | text_of status; }
# pays TERMINAL AMOUNT [CARD]
pays() {
  id=$(start_payment "$@")
  status=$(result "$id")
  [ "$status" = approved ] || fail "payment of $2 at $1 with ${3:-the card there}: $status"
}
ready() { get "$api/readyz" | grep -q '"status":"ready"'; }

# MARK: what is to be seen

see_installation() {
  step "installation"
  cp "$package" "$root/root/tapbridge.deb"
  in_root apt-get install -y -q /root/tapbridge.deb >"$work/apt" 2>&1 || { cat "$work/apt" >&2 && fail "apt-get install"; }
  for unit in tapbridge tapbridge-readers; do
    state="$(property UnitFileState "$unit") $(property ActiveState "$unit")"
    [ "$state" = "disabled inactive" ] || fail "$unit is $state after the installation"
    for group in plugdev dialout; do
      in_root id -nG "$unit" | grep -qw $group || fail "the user $unit is not in $group"
    done
  done
  saw "apt-get installs it; both units are disabled and inactive, their users are in plugdev and dialout"
}

# configure TEXT...: the daemon's configuration
configure() { printf '%s\n' "$@" >"$root/etc/tapbridge/tapbridge.yaml"; }

see_daemon() {
  step "tapbridge.service"
  in_root systemctl start tapbridge || fail "does not start"
  # Ready when systemctl returns: the first request has to be answered.
  get "$api/healthz" >/dev/null || fail "active, and nobody answers"
  ready || fail "active, and not ready: $(get "$api/readyz")"
  pays TERM0001 6400 visa-credit
  saw "active ($(property StatusText tapbridge)) when it answers, not before; a payment is approved"
  [ "$(in_root stat -c %U:%a /var/lib/tapbridge)" = tapbridge:700 ] || fail "the state directory is not tapbridge's alone"
  others=$(in_root find /var/lib/tapbridge -type f -not -perm 600 -o -not -user tapbridge)
  [ -z "$others" ] || fail "not tapbridge's alone: $others"
  saw "state in /var/lib/tapbridge, tapbridge's alone: $(in_root find /var/lib/tapbridge -type f -printf '%P ' )"
  get "$api/" | grep -qi '<html' || fail "no console"
  get "$api/metrics" >"$work/metrics"
  grep -q '^process_max_fds 16384' "$work/metrics" || fail "other than 16384 descriptors: $(grep ^process_max "$work/metrics")"
  grep -q '^process_resident_memory_bytes [1-9]' "$work/metrics" || fail "metrics without memory"
  grep -q '^process_open_fds [1-9]' "$work/metrics" || fail "metrics without descriptors"
  saw "console and metrics ($(grep -c '^tapbridge_' "$work/metrics") of its own; the process's figures, too)"
}

see_exposure() {
  step "systemd-analyze security"
  for unit in tapbridge tapbridge-readers; do
    exposure=$(in_root systemd-analyze security --no-pager "$unit.service" | sed -n 's/.*: \([0-9.]* [A-Z]*\).*/\1/p' | tail -1)
    case $exposure in *OK | *SAFE | *PERFECT) ;; *) fail "$unit.service: $exposure" ;; esac
    saw "$unit.service: $exposure"
  done
}

see_reload() {
  step "systemctl reload"
  process=$(property MainPID tapbridge)
  configure 'terminals: [{id: TILL, count: 3}]'
  in_root systemctl reload tapbridge || fail "a good configuration is refused"
  until_true 10 sh_terminals 3 || fail "three terminals were configured: $(get "$api/v1/status")"
  configure 'terminals: [{id: TILL, count: 3}]' 'listen: {prot: 1}'
  if in_root systemctl reload tapbridge 2>/dev/null; then fail "a broken configuration is taken without a word"; fi
  said tapbridge 'did you mean "port"' || fail "the mistake is not told"
  sh_terminals 3 && ready || fail "the old configuration does not stay"
  pays TILL0003 1200 visa-credit
  [ "$(property MainPID tapbridge)" = "$process" ] || fail "the daemon started anew"
  [ "$(property ActiveState tapbridge)" = active ] || fail "not active after a refused reload"
  saw "takes effect in the same process; a mistake is refused and told, and the old configuration stays"
}
sh_terminals() { get "$api/v1/status" | grep -q "\"terminals\":$1[,}]"; }

# An acquirer's host beside the daemon, over TLS and by a name that only DNS knows. It never answers a sale of 19.00.
start_host() {
  in_root tapbridge certs --directory /etc/tapbridge/certs --host acquirer.tapbridge.test --host localhost --terminal till >/dev/null
  background test-dns dnsmasq --keep-in-foreground --conf-file=/dev/null --no-resolv --no-hosts --user=root \
    --listen-address=127.0.0.1 --bind-interfaces --address=/tapbridge.test/127.0.0.1
  until_true 10 in_root getent hosts acquirer.tapbridge.test || fail "no name server"
  background test-host tapbridge host --listen 127.0.0.1:8583 --new-books --trouble 'amount 1900: silence' \
    --tls-certificate /etc/tapbridge/certs/server.pem --tls-key /etc/tapbridge/certs/server.key
  cat >"$root/etc/tapbridge/acquirer.yaml" <<END
name: test-host
hosts: ["acquirer.tapbridge.test:8583"]
tls: { trust: acquirer-ca.pem }
connection: { connect-timeout: 5s, answer-timeout: 10s, first-pause: 100ms }
messages: { dialect: generic-bcd, framing: 2-byte }
END
  cp "$root/etc/tapbridge/certs/ca.pem" "$root/etc/tapbridge/acquirer-ca.pem"
  configure 'acquirer: acquirer.yaml' 'terminals: [{id: TILL, count: 2}]'
  in_root systemctl restart tapbridge || fail "does not start with an acquirer"
}

see_host() {
  step "a host, found by DNS and spoken to over TLS"
  start_host
  pays TILL0001 1200 visa-credit
  said test-host 0200 || fail "the host was not asked"
  saw "a payment is approved there"
}

see_kill() {
  step "kill -9 with a payment at the host"
  id=$(start_payment TILL0001 1900 visa-credit)
  until_true 8 said test-host '0200 .* 1900 ' || fail "the host was not asked"
  restarts=$(property NRestarts tapbridge)
  in_root systemctl kill --signal=KILL tapbridge
  until_true 20 has_property NRestarts $((restarts + 1)) tapbridge || fail "is not restarted"
  until_true 20 ready || fail "is not ready again"
  until_true 20 is_reversed "$id" || fail "the payment is not reversed: $(get "$api/v1/payments/$id")"
  said test-host '0420 .* 1900 ' || fail "the host knows of no reversal"
  # Emulated cards begin anew with each run, the host does not: this one it has not seen yet.
  pays TILL0001 1300 visa-debit
  saw "restarted by systemd; what the host had got is reversed, and payments go on"
}
is_reversed() { get "$api/v1/journal?limit=5" | grep -q "\"id\":\"$1\".*reversed"; }

see_watchdog() {
  step "watchdog"
  drop_in "$1" watchdog WatchdogSec=3
  in_root systemctl restart "$1" || fail "does not start with a watchdog of 3 s"
  process=$(property MainPID "$1")
  sleep 8
  [ "$(property MainPID "$1")" = "$process" ] || fail "does not tell in time that it lives"
  restarts=$(property NRestarts "$1")
  in_root systemctl kill --signal=STOP "$1"
  until_true 30 has_property NRestarts $((restarts + 1)) "$1" || fail "a stopped process is not restarted"
  until_true 20 has_property ActiveState active "$1" || fail "does not come back"
  said "$1" "Watchdog timeout" || fail "it was not the watchdog"
  saw "lives through 8 s of a watchdog of 3 s; stopped (SIGSTOP) it is ended and started again"
}

see_stop() {
  step "systemctl stop with a payment at a host that does not answer"
  id=$(start_payment TILL0001 1900 mc-credit)
  until_true 8 said test-host '0200 .* 1900 ' 2 || fail "the host was not asked"
  waiting=$(start_payment TILL0002 100)
  began=$(date +%s)
  in_root systemctl stop tapbridge
  took=$(($(date +%s) - began))
  # A unit that ended otherwise is "failed", and why stays.
  ended="$(property ActiveState tapbridge) $(property Result tapbridge)"
  [ "$ended" = "inactive success" ] || fail "stopping ended as: $ended, after $took s"
  in_root systemctl start tapbridge
  get "$api/v1/journal?limit=5" | grep -q "\"id\":\"$waiting\".*cancelled" || fail "what waited for a card is not cancelled"
  until_true 20 is_reversed "$id" || fail "what was at the host is not reversed"
  saw "exit 0 after $took s; what waited for a card is cancelled, what was at the host reversed"
}

see_tls() {
  step "TLS and a token, beyond loopback"
  token=$(in_root tapbridge config token till-software --json)
  install -d "$root/etc/tapbridge/tls"
  cp "$root/etc/tapbridge/certs/server.pem" "$root/etc/tapbridge/certs/server.key" "$root/etc/tapbridge/tls"
  in_root chgrp tapbridge /etc/tapbridge/tls/server.key
  chmod 640 "$root/etc/tapbridge/tls/server.key"
  configure 'listen: {address: "::", tls: {certificate: tls/server.pem, key: tls/server.key}}' \
    "tokens: [{name: till-software, role: operator, sha256: $(echo "$token" | tr -d ' ' | text_of sha256)}]"
  in_root systemctl restart tapbridge || fail "does not start with TLS"
  answer=$(get --cacert /etc/tapbridge/certs/ca.pem -o /dev/null -w '%{http_code}' https://localhost:8473/v1/status)
  [ "$answer" = 401 ] || fail "without a token: $answer"
  get --cacert /etc/tapbridge/certs/ca.pem -H "Authorization: Bearer $(echo "$token" | tr -d ' ' | text_of token)" \
    https://localhost:8473/v1/status | grep -q '"role":"operator"' || fail "the token is not taken"
  saw "serves with a key that its group may read; without the token 401"
}

# A card in the virtual reader for as long as it is wanted
insert_card() {
  background test-card tapbridge card attach "$1" --fresh-card
  until_true 15 said test-card attached || fail "the card is not attached"
}
remove_card() { in_root systemctl stop test-card; }

# pays_with_card TERMINAL: the card comes into its reader when the payment waits for it
pays_with_card() {
  id=$(start_payment "$1" 1200)
  insert_card visa-credit
  status=$(result "$id")
  remove_card
  [ "$status" = approved ] || fail "a payment with a card in the reader of $1: $status"
}

see_pcsc() {
  step "PC/SC through pcscd and its socket"
  in_root systemctl stop pcscd.service 2>/dev/null
  [ "$(property ActiveState pcscd.socket)" = active ] || fail "pcscd.socket is not there"
  configure 'terminals: [{id: PCSC0001, reader: "pcsc:Virtual PCD 00 00"}]'
  in_root systemctl restart tapbridge
  until_true 20 ready || fail "the reader is not there: $(get "$api/readyz")"
  [ "$(property ActiveState pcscd.service)" = active ] || fail "pcscd was not started by its socket"
  pays_with_card PCSC0001
  saw "the daemon's user starts pcscd and has its reader; a card put into it pays"
  as_user tapbridge tapbridge readers | grep -q 'Virtual PCD' || fail "the user tapbridge sees no reader"
  # Debian 12's pcscd lets everybody in; later ones ask polkit.
  if in_root pcscd --version | grep -q polkit; then
    if as_user nobody tapbridge readers >"$work/readers" 2>&1; then fail "nobody has readers, too: $(cat "$work/readers")"; fi
    saw "another user is refused: $(head -1 "$work/readers")"
  else
    saw "this pcscd does not ask polkit; the rule is asked alone"
    actions=$root/usr/share/polkit-1/actions/org.debian.pcsc-lite.policy
    [ -e "$actions" ] || polkit_actions >"$actions"
    in_root systemctl restart polkit
  fi
  for action in access_pcsc access_card; do
    for user in tapbridge tapbridge-readers; do polkit_lets $user $action || fail "polkit refuses $user $action"; done
    if polkit_lets nobody $action; then fail "polkit lets nobody $action"; fi
  done
  saw "polkit lets the units' users use readers and cards, and another user not"
}
# systemd makes one dollar of two.
polkit_lets() { as_user "$1" sh -c "pkcheck --action-id org.debian.pcsc-lite.$2 --process \$\$\$\$" >/dev/null 2>&1; }
# As pcscd has them: for who sits at the console.
polkit_actions() {
  echo '<?xml version="1.0"?><!DOCTYPE policyconfig PUBLIC "-//freedesktop//DTD PolicyKit Policy Configuration 1.0//EN"
    "http://www.freedesktop.org/standards/PolicyKit/1/policyconfig.dtd"><policyconfig>'
  for action in access_pcsc access_card; do
    echo "<action id=\"org.debian.pcsc-lite.$action\"><description>pcscd</description><message>pcscd</message><defaults>
      <allow_any>no</allow_any><allow_inactive>no</allow_inactive><allow_active>yes</allow_active></defaults></action>"
  done
  echo '</policyconfig>'
}

see_serial() {
  step "devices"
  # A chip in software on a pseudo-terminal that belongs to dialout, as a serial line does.
  background test-chip tapbridge card attach visa-credit --fresh-card --pn532 --link /run/pn532
  until_true 10 in_root test -e /run/pn532 || fail "no PN532 in software"
  line=$(in_root readlink /run/pn532)
  in_root chgrp dialout "$line"
  in_root chmod 660 "$line"
  # A device that libnfc has no business with; dialout's all the same.
  nsenter --target "$leader" --mount mknod /dev/test-device c 10 229
  in_root chmod 660 /dev/test-device
  in_root chgrp dialout /dev/test-device
  drop_in tapbridge devices "ExecStartPost=-/bin/sh -c 'exec 3<>/dev/test-device'"
  configure 'terminals: [{id: NFC00001, reader: "nfc:pn532_uart:/run/pn532"}]'
  in_root systemctl restart tapbridge
  pays NFC00001 1200
  saw "libnfc in the sandbox: a payment with a PN532 on a serial line of the group dialout"
  said tapbridge 'test-device: Operation not permitted' || fail "other devices are not refused: $(in_root journalctl -q -o cat -u tapbridge | grep test-device)"
  saw "other devices are refused"
  in_root systemctl stop test-chip
  in_root rm /run/systemd/system/tapbridge.service.d/devices.conf
  in_root systemctl daemon-reload
}

see_readers() {
  step "tapbridge-readers.service"
  in_root systemctl start tapbridge-readers
  [ "$(property ActiveState tapbridge-readers) $(property ConditionResult tapbridge-readers)" = "inactive no" ] ||
    fail "starts without certificates"
  in_root tapbridge certs --directory /etc/tapbridge/readers --host localhost --terminal till >/dev/null
  in_root systemctl start tapbridge-readers || fail "does not start"
  list=$(in_root tapbridge reader list localhost --certs /etc/tapbridge/readers --identity till) || fail "answers no terminal: $list"
  echo "$list" | grep -q 'Virtual PCD' || fail "does not offer pcscd's reader: $list"
  saw "active ($(property StatusText tapbridge-readers)) with a key of root's alone; offers pcscd's reader to a terminal with a certificate"
  in_root tapbridge certs --directory /root/strangers --host localhost --terminal till >/dev/null
  if in_root tapbridge reader list localhost --certs /root/strangers --identity till >/dev/null 2>&1; then fail "takes strangers"; fi
  insert_card visa-debit
  in_root tapbridge pay 1.00 --reader 'remote:localhost/Virtual PCD 00 00' --certs /etc/tapbridge/readers --identity till >"$work/pay" ||
    { cat "$work/pay" >&2 && fail "no payment at the shared reader"; }
  remove_card
  # The daemon has a terminal's certificate, with a key that is its own.
  in_root install -d -o tapbridge -g tapbridge -m 700 /etc/tapbridge/terminal
  for file in ca.pem:ca.pem till.pem:terminal.pem till.key:terminal.key; do
    in_root install -o tapbridge -g tapbridge -m 600 "/etc/tapbridge/readers/${file%:*}" "/etc/tapbridge/terminal/${file#*:}"
  done
  configure 'certificates: terminal' 'terminals: [{id: REMOTE01, reader: "remote:localhost/Virtual PCD 00 00"}]'
  in_root systemctl restart tapbridge
  until_true 20 ready || fail "the daemon does not get the shared reader: $(get "$api/readyz")"
  pays_with_card REMOTE01
  saw "payments at it over TLS, of a program and of tapbridge.service; a terminal of another CA is refused"
  see_watchdog tapbridge-readers
}

see_upgrade() {
  step "upgrade"
  dpkg-deb -R "$package" "$work/next"
  version=$(dpkg-deb -f "$package" Version)+next
  sed -i "s/^Version: .*/Version: $version/" "$work/next/DEBIAN/control"
  dpkg-deb --root-owner-group -Znone --build "$work/next" "$root/root/next.deb" >/dev/null
  before="$(property MainPID tapbridge) $(property MainPID tapbridge-readers)"
  in_root apt-get install -y -q /root/next.deb >"$work/apt" 2>&1 || { cat "$work/apt" >&2 && fail "apt-get install"; }
  after="$(property MainPID tapbridge) $(property MainPID tapbridge-readers)"
  for number in 1 2; do
    [ "$(echo "$before" | cut -d' ' -f$number)" != "$(echo "$after" | cut -d' ' -f$number)" ] || fail "not restarted: $before, $after"
  done
  [ "$(property ActiveState tapbridge) $(property ActiveState tapbridge-readers)" = "active active" ] || fail "not active after the upgrade"
  until_true 20 ready || fail "not ready after the upgrade"
  saw "to $version: units that run are restarted"
}

see_boot() {
  step "boot"
  in_root systemctl enable -q tapbridge tapbridge-readers
  halt
  boot
  until_true 30 has_property ActiveState active tapbridge || fail "enabled, and not started"
  until_true 30 has_property ActiveState active tapbridge-readers || fail "enabled, and not started: readers"
  until_true 20 ready || fail "not ready after booting"
  saw "enabled units start with the system"
}

see_removal() {
  step "removal and purging"
  in_root apt-get remove -y -q tapbridge >"$work/apt" 2>&1 || { cat "$work/apt" >&2 && fail "apt-get remove"; }
  for unit in tapbridge tapbridge-readers; do
    state="$(property LoadState $unit) $(property ActiveState $unit)"
    [ "$state" = "not-found inactive" ] || fail "$unit is $state after the removal"
  done
  left=$(in_root find /etc/systemd/system -name 'tapbridge*')
  [ -z "$left" ] || fail "removal leaves $left"
  [ -s "$root/etc/tapbridge/tapbridge.yaml" ] || fail "the configuration went with the removal"
  saw "removal stops and disables both units and keeps the configuration"
  in_root apt-get purge -y -q tapbridge >"$work/apt" 2>&1 || { cat "$work/apt" >&2 && fail "apt-get purge"; }
  left=$(in_root find / -xdev -iname '*tapbridge*' -not -path '/root/*' -not -path '/var/log/*' | LC_ALL=C sort | paste -sd' ')
  # Certificates, what was put beside the configuration, and the journal are their owners'.
  [ "$left" = "/etc/tapbridge /var/lib/tapbridge" ] || fail "purging leaves $left"
  [ ! -e "$root/etc/tapbridge/tapbridge.yaml" ] || fail "purging leaves the configuration"
  saw "purging leaves $left with certificates and journal, nothing else"
}

make_root
boot
saw "systemd $(in_root systemctl --version | head -1 | cut -d' ' -f2) is up, as process 1 of its own"
see_installation
see_daemon
see_exposure
see_reload
see_host
see_kill
see_watchdog tapbridge
# With the watchdog's 3 s still: the host's silence is longer.
see_stop
see_tls
see_pcsc
see_serial
see_readers
see_upgrade
see_boot
see_removal
echo "the units work under systemd: $(basename "$package")"

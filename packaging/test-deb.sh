#!/bin/sh
# Installs the package into a root directory of its own with a dpkg database of its own, runs the program from there, and
# removes and purges it: test-deb.sh PACKAGE. Needs no root where fakeroot is there.
set -eu
package=$(realpath "$1")
if [ "$(id -u)" != 0 ] && [ -z "${FAKEROOTKEY:-}" ]; then exec fakeroot "$0" "$package"; fi
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
mkdir -p "$root/var/lib/dpkg/info" "$root/var/lib/dpkg/updates"
: >"$root/var/lib/dpkg/status"
fail() {
  echo "FAILED: $*" >&2
  exit 1
}
# The libraries are this system's: the empty root has none.
run_dpkg() { dpkg --root="$root" --log=/dev/null --force-depends --force-script-chrootless --force-not-root "$@" >/dev/null 2>"$root.err" || {
  cat "$root.err" >&2
  rm -f "$root.err"
  fail "dpkg $*"
}
rm -f "$root.err"; }

before=$(cd "$root" && find . -path ./var/lib/dpkg -prune -o -print | LC_ALL=C sort)
run_dpkg --install "$package"
dpkg --root="$root" --verify tapbridge || fail "files differ from the package's checksums"
[ "$(dpkg-query --admindir="$root/var/lib/dpkg" -W -f='${Status}' tapbridge)" = "install ok installed" ] || fail "not installed"
for file in usr/bin/tapbridge usr/lib/udev/rules.d/60-tapbridge-readers.rules etc/modprobe.d/tapbridge-blacklist.conf \
  usr/share/polkit-1/rules.d/60-tapbridge-pcscd.rules usr/share/man/man1/tapbridge.1.gz \
  usr/share/man/man1/tapbridge-pay.1.gz usr/share/bash-completion/completions/tapbridge \
  usr/lib/systemd/system/tapbridge-readers.service usr/lib/sysusers.d/tapbridge-readers.conf \
  usr/lib/systemd/system/tapbridge.service usr/lib/sysusers.d/tapbridge.conf etc/tapbridge/tapbridge.yaml etc/default/tapbridge \
  usr/share/doc/tapbridge/examples/acquirer.yaml usr/share/doc/tapbridge/examples/default.yaml usr/share/doc/tapbridge/copyright; do
  [ -s "$root/$file" ] || fail "$file is missing"
done
"$root/usr/bin/tapbridge" --version >/dev/null || fail "the installed program does not run"
XDG_STATE_HOME="$root/state" "$root/usr/bin/tapbridge" pay 12.50 --card visa-credit \
  --profile "$root/usr/share/doc/tapbridge/examples/default.yaml" >/dev/null || fail "no payment with the example profile"
"$root/usr/bin/tapbridge" config check "$root/etc/tapbridge/tapbridge.yaml" >/dev/null || fail "the daemon's configuration has mistakes"
rm -rf "$root/state"
bash -n "$root/usr/share/bash-completion/completions/tapbridge" || fail "the completion is no bash"
if command -v man >/dev/null; then
  warnings=$(for page in "$root"/usr/share/man/man1/*.gz; do LC_ALL=C.UTF-8 man --warnings -l "$page" 2>&1 >/dev/null; done)
  [ -z "$warnings" ] || fail "man pages: $warnings"
fi
if command -v systemd-analyze >/dev/null; then
  # Other packages' units are not there, and programs are looked for in the root.
  for unit in "$root"/usr/lib/systemd/system/*.service; do
    warnings=$(systemd-analyze verify --recursive-errors=no --man=no --root="$root" "$unit" 2>&1 | grep -F "$(basename "$unit")" | grep -v -e "Failed to create .*: Unit .* not found" -e "Command /bin/kill is not executable" || true)
    [ -z "$warnings" ] || fail "$(basename "$unit"): $warnings"
  done
fi
# With a list of users the units' own are made.
printf 'root:x:0:0:root:/root:/bin/sh\n' >"$root/etc/passwd"
printf 'root:x:0:\n' >"$root/etc/group"
run_dpkg --install "$package"
if command -v systemd-sysusers >/dev/null; then
  for user in tapbridge tapbridge-readers; do
    grep -q "^$user:" "$root/etc/passwd" || fail "the units' user $user was not made"
    for group in plugdev dialout; do
      grep -Eq "^$group:.*[:,]$user(,|\$)" "$root/etc/group" || fail "the units' user $user is not in $group"
    done
  done
fi
rm -f "$root"/etc/passwd* "$root"/etc/group* "$root"/etc/shadow* "$root"/etc/gshadow* "$root"/etc/.pwd.lock
run_dpkg --remove tapbridge
[ ! -e "$root/usr/bin/tapbridge" ] || fail "the program stays after removal"
[ -e "$root/etc/modprobe.d/tapbridge-blacklist.conf" ] || fail "a configuration file went with the removal"
run_dpkg --purge tapbridge
after=$(cd "$root" && find . -path ./var/lib/dpkg -prune -o -print | LC_ALL=C sort)
[ "$before" = "$after" ] || fail "purging leaves: $(printf '%s\n%s\n' "$before" "$after" | sort | uniq -u | tr '\n' ' ')"
echo "installs, runs, reinstalls, removes and purges cleanly: $(basename "$package")"

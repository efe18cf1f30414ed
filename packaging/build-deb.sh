#!/bin/sh
# Builds the Debian package: build-deb.sh PROGRAM OUTPUT_DIRECTORY. Needs dpkg-deb and python3; dpkg-shlibdeps (dpkg-dev)
# finds the libraries it depends on.
set -eu
program=$1
output=$2
here=$(cd "$(dirname "$0")" && pwd)
top=$(dirname "$here")
version=$("$program" --version)
architecture=$(dpkg --print-architecture)
# The date of the last change, so that the same sources give the same package.
epoch=${SOURCE_DATE_EPOCH:-$(git -C "$top" log -1 --format=%ct 2>/dev/null || date +%s)}
export SOURCE_DATE_EPOCH="$epoch"
day=$(date -u -d "@$epoch" +%Y-%m-%d)
stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
chmod 755 "$stage"
root=$stage/root
umask 022

install -D -m 755 "$program" "$root/usr/bin/tapbridge"
case "${STRIP:-strip}" in '') ;; *) "${STRIP:-strip}" --strip-unneeded "$root/usr/bin/tapbridge" ;; esac
install -D -m 644 "$top/udev/60-tapbridge-readers.rules" "$root/usr/lib/udev/rules.d/60-tapbridge-readers.rules"
install -D -m 644 "$top/udev/tapbridge-blacklist.conf" "$root/etc/modprobe.d/tapbridge-blacklist.conf"
install -D -m 644 "$here/60-tapbridge-pcscd.rules" "$root/usr/share/polkit-1/rules.d/60-tapbridge-pcscd.rules"
for unit in "$here"/*.service; do
  install -D -m 644 "$unit" "$root/usr/lib/systemd/system/$(basename "$unit")"
done
for users in "$here"/*.sysusers; do
  install -D -m 644 "$users" "$root/usr/lib/sysusers.d/$(basename "$users" .sysusers).conf"
done
for settings in "$here"/*.default; do
  install -D -m 644 "$settings" "$root/etc/default/$(basename "$settings" .default)"
done
mkdir -p "$root/etc/tapbridge"
"$program" config show >"$root/etc/tapbridge/tapbridge.yaml"
for shell in bash zsh fish; do
  case $shell in
    bash) file=$root/usr/share/bash-completion/completions/tapbridge ;;
    zsh) file=$root/usr/share/zsh/vendor-completions/_tapbridge ;;
    fish) file=$root/usr/share/fish/vendor_completions.d/tapbridge.fish ;;
  esac
  mkdir -p "$(dirname "$file")"
  "$program" --generate-completion-script "$shell" >"$file"
done
python3 "$here/manpages.py" "$program" "$root/usr/share/man/man1" "$day"
gzip -9n "$root"/usr/share/man/man1/*.1
doc=$root/usr/share/doc/tapbridge
install -D -m 644 "$top/README.md" "$doc/README.md"
install -D -m 644 "$top/LICENSE" "$doc/copyright"
for profile in "$top"/Sources/Terminal/Profiles/*.yaml "$top"/Sources/Adapters/ISO8583Backend/Samples/*.yaml; do
  install -D -m 644 "$profile" "$doc/examples/$(basename "$profile")"
done

# Which packages the program's libraries come from. Without dpkg-dev these are named without versions.
depends="libc6, libgcc-s1, libnfc6, libpcsclite1, libsqlite3-0, libssl3, libstdc++6"
if command -v dpkg-shlibdeps >/dev/null; then
  mkdir -p "$stage/work/debian"
  printf 'Source: tapbridge\n\nPackage: tapbridge\nArchitecture: any\n' >"$stage/work/debian/control"
  depends=$(cd "$stage/work" && dpkg-shlibdeps -O --ignore-missing-info -xtapbridge "$root/usr/bin/tapbridge" 2>"$stage/shlibdeps" |
    sed -n 's/^shlibs:Depends=//p')
  [ -n "$depends" ] || {
    cat "$stage/shlibdeps" >&2
    exit 1
  }
fi

mkdir -p "$root/DEBIAN"
cat >"$root/DEBIAN/control" <<CONTROL
Package: tapbridge
Version: $version
Architecture: $architecture
Maintainer: Tapbridge developers <tapbridge@localhost>
Installed-Size: $(du -ks "$root" | cut -f1)
Depends: $depends
Recommends: pcscd, libccid
Suggests: vsmartcard-vpcd, libnfc-bin
Section: utils
Priority: optional
Description: contactless payment terminal emulator and card-reader bridge
 Takes test payments from contactless cards and phones through PC/SC, libnfc
 or emulated readers, with EMV contactless kernels, a simulated acquirer, a
 journal, and APDU traces. For test and integration only: it is not certified
 and works with test cards and test keys.
CONTROL
(cd "$root" && find etc -type f | LC_ALL=C sort | sed 's,^,/,') >"$root/DEBIAN/conffiles"
for script in postinst prerm postrm; do
  install -m 755 "$here/$script" "$root/DEBIAN/$script"
done
(cd "$root" && find usr etc -type f -print0 | LC_ALL=C sort -z | xargs -0 md5sum) >"$root/DEBIAN/md5sums"

mkdir -p "$output"
dpkg-deb --root-owner-group -Zxz --build "$root" "$output/tapbridge_${version}_$architecture.deb"

#!/bin/bash
# Builds the Debian package with dpkg-deb alone, from a program that is already built.
#
#   deploy/debian/build.sh [PROGRAM [FOLDER]]    default: target/release/chiren, target/debian
#
# `cargo deb` gives the same package from [package.metadata.deb] in Cargo.toml, where it is installed.
set -euo pipefail
cd "$(dirname "$0")/../.."

program=${1:-target/release/chiren}
folder=${2:-target/debian}
version=$(sed -n '/^\[package\]/,/^\[/s/^version = "\(.*\)"$/\1/p' Cargo.toml)
arch=$(dpkg --print-architecture)
stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
chmod 0755 "$stage"

put() { # put MODE FILE PLACE
    install -D -m "$1" "$2" "$stage/$3"
}
put 0755 "$program" usr/bin/chiren
if [ -z "${KEEP_SYMBOLS:-}" ]; then
    strip --strip-debug "$stage/usr/bin/chiren"
fi
put 0644 config/chiren.toml etc/chiren/chiren.toml
for file in config/vocabulary/*.toml; do
    put 0644 "$file" "usr/share/chiren/vocabulary/${file##*/}"
done
put 0644 deploy/systemd/chiren.service lib/systemd/system/chiren.service
put 0644 README.md usr/share/doc/chiren/README.md
put 0644 deploy/debian/copyright usr/share/doc/chiren/copyright
for file in deploy/systemd/privileged-port.conf deploy/log/*.conf; do
    put 0644 "$file" "usr/share/doc/chiren/examples/${file##*/}"
done
for script in postinst prerm postrm; do
    put 0755 "deploy/debian/$script" "DEBIAN/$script"
done
echo /etc/chiren/chiren.toml >"$stage/DEBIAN/conffiles"
cat >"$stage/DEBIAN/control" <<CONTROL
Package: chiren
Version: $version-1
Architecture: $arch
Maintainer: Chiren Gateway authors <root@localhost>
Section: net
Priority: optional
Depends: libc6 (>= 2.34), libgcc-s1, adduser
Suggests: postgresql, logrotate
Installed-Size: $(du -sk --exclude=DEBIAN "$stage" | cut -f1)
Description: document gateway for Japanese regional medical networks
 IHE XDS.b document registry and repository in one program: ITI-41, ITI-42,
 ITI-18, ITI-43 and ITI-51 over SOAP 1.2, with SQLite inside or PostgreSQL.
CONTROL
(cd "$stage" && find . -type f ! -path './DEBIAN/*' -printf '%P\0' | sort -z | xargs -0 md5sum) >"$stage/DEBIAN/md5sums"

mkdir -p "$folder"
dpkg-deb --root-owner-group --build "$stage" "$folder/chiren_$version-1_$arch.deb"

#!/bin/sh
# A Debian package around a binary that is built already: build.sh BINARY DIR_OUT [ARCHITECTURE]
# Needs dpkg-deb alone. PORTREEVE_DEB_COMPRESS=none makes it quick, for tests.
set -eu
umask 022
binary=$1
out=$2
here=$(cd "$(dirname "$0")/.." && pwd)
root=$(cd "$here/.." && pwd)
architecture=${3:-$(dpkg --print-architecture)}
version=$("$binary" --version | cut -d' ' -f2)
# The newest symbol of the C library that it needs.
libc=$(grep -a -o 'GLIBC_2\.[0-9]*' "$binary" | sort -u -V | tail -n 1 | cut -d_ -f2)

tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
install -D -m 755 "$binary" "$tree/usr/bin/portreeve"
install -D -m 644 "$here/systemd/portreeve.service" "$tree/usr/lib/systemd/system/portreeve.service"
install -D -m 644 "$here/deb/portreeve.sysusers" "$tree/usr/lib/sysusers.d/portreeve.conf"
install -D -m 640 "$here/portreeve.toml" "$tree/etc/portreeve/portreeve.toml"
install -d -m 755 "$tree/usr/share/doc/portreeve/examples"
install -m 644 "$here"/systemd/*.conf "$here"/proxy/* "$tree/usr/share/doc/portreeve/examples/"
install -m 644 "$here/deb/copyright" "$tree/usr/share/doc/portreeve/copyright"
gzip -9 -n < "$root/CHANGELOG.md" > "$tree/usr/share/doc/portreeve/changelog.gz"
install -d -m 755 "$tree/usr/share/man/man1"
"$binary" man | gzip -9 -n > "$tree/usr/share/man/man1/portreeve.1.gz"
install -d -m 755 "$tree/usr/share/bash-completion/completions"
"$binary" completions bash > "$tree/usr/share/bash-completion/completions/portreeve"

install -d -m 755 "$tree/DEBIAN"
size=$(du -k -s --exclude DEBIAN "$tree" | cut -f1)
cat > "$tree/DEBIAN/control" <<CONTROL
Package: portreeve
Version: $version
Architecture: $architecture
Maintainer: The Portreeve developers <portreeve@packages.invalid>
Section: admin
Priority: optional
Installed-Size: $size
Depends: libc6 (>= $libc), libgcc-s1, systemd | adduser
Recommends: ca-certificates
Suggests: nginx | caddy
Description: finds, explains and contains the abuse of remote access
 Reads the logs of VPN, Citrix, RDP, SSH, cloud and Kubernetes access, rebuilds
 each remote session, holds it against what is usual for that person, answers
 the questions of the playbook for MITRE ATT&CK T1133 with evidence, and
 proposes containment whose effect is read back.
CONTROL
echo /etc/portreeve/portreeve.toml > "$tree/DEBIAN/conffiles"
for script in postinst prerm postrm; do
    install -m 755 "$here/deb/$script" "$tree/DEBIAN/$script"
done
(cd "$tree" && find . -type f ! -path './DEBIAN/*' -printf '%P\0' | LC_ALL=C sort -z | xargs -0 md5sum) > "$tree/DEBIAN/md5sums"
mkdir -p "$out"
dpkg-deb --root-owner-group -Z"${PORTREEVE_DEB_COMPRESS:-xz}" --build "$tree" "$out/portreeve_${version}_${architecture}.deb"

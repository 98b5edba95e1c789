#!/bin/sh
# Installs, runs, upgrades, removes and purges a package: installed.sh PACKAGE FOLDER, as root, in a mount namespace of its
# own (unshare --mount). This machine is seen through an overlay in memory: nothing of it changes.
set -eu
export DEBIAN_FRONTEND=noninteractive LC_ALL=C
package=$1
# Its mounts end with the namespace.
place=$2
mkdir "$place"
mount -t tmpfs -o size=1g,mode=755 portreeve-test "$place"
mkdir "$place/upper" "$place/work" "$place/root"
mount -t overlay -o "lowerdir=/,upperdir=$place/upper,workdir=$place/work" portreeve-test "$place/root"
mount -t proc proc "$place/root/proc"
mount --bind /dev "$place/root/dev"
mount -t tmpfs -o mode=755 portreeve-test "$place/root/run"
cp "$package" "$place/root/portreeve.deb"

says() { printf '== %s\n' "$1"; }
inside() { chroot "$place/root" "$@"; }
# As the unit starts it.
service() { inside setpriv --reuid=portreeve --regid=portreeve --clear-groups "$@"; }
shown() {
    for path; do
        inside stat -c '%A %U:%G %n' "$path" 2> /dev/null || echo "no $path"
    done
}
install() { inside dpkg --force-depends "$@" -i /portreeve.deb > "$place/dpkg.log" 2>&1 || { cat "$place/dpkg.log"; exit 1; }; }

says installed
install
shown /etc/portreeve /etc/portreeve/portreeve.toml /var/lib/portreeve /usr/bin/portreeve
inside getent passwd portreeve | cut -d: -f6,7
inside dpkg --verify portreeve

says started
sed -i 's/^listen = .*/listen = "127.0.0.1:0" # of this site/' "$place/root/etc/portreeve/portreeve.toml"
service env PORTREEVE_CONFIG=/etc/portreeve/portreeve.toml /usr/bin/portreeve config check
start=$(sed -n 's/^ExecStart=//p' "$place/root/usr/lib/systemd/system/portreeve.service")
umask 077
# Words of the unit, as systemd splits them.
# shellcheck disable=SC2086
service $start > "$place/said" 2> "$place/log" &
tries=0
until grep -q '^listening on' "$place/said"; do
    tries=$((tries + 1))
    [ $tries -lt 1200 ] || { cat "$place/log"; exit 1; }
    sleep 0.1
done
curl -s -m 60 "http://$(sed -n 's/^listening on //p' "$place/said")/healthz"
for pid in $(inside pgrep -u portreeve -x portreeve); do
    sed -n 's/^CapEff:\t0*$/without a capability/p' "/proc/$pid/status"
    kill -TERM "$pid"
done
wait $! && echo "ended well"
umask 022
shown /var/lib/portreeve/master.key /var/lib/portreeve/store.db

says upgraded
install --force-confold
shown /etc/portreeve /etc/portreeve/portreeve.toml
grep -c 'of this site' "$place/root/etc/portreeve/portreeve.toml"

says removed
inside systemctl --quiet enable portreeve.service 2> "$place/log" || cat "$place/log"
shown /etc/systemd/system/multi-user.target.wants/portreeve.service
inside dpkg -r portreeve > "$place/dpkg.log" 2>&1 || cat "$place/dpkg.log"
shown /etc/systemd/system/multi-user.target.wants/portreeve.service /usr/bin/portreeve
shown /etc/portreeve/portreeve.toml /var/lib/portreeve/store.db

says purged
inside dpkg -P portreeve > "$place/dpkg.log" 2>&1 || cat "$place/dpkg.log"
grep 'left as it is' "$place/dpkg.log"
shown /etc/portreeve /var/lib/portreeve/store.db

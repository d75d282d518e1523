#!/bin/sh
# Installs what tools/packages.txt names and this machine lacks. Touches nothing, and needs no network, when all is there.
set -eu

list=$(dirname "$0")/packages.txt
wanted=$(sed 's/#.*//' "$list")

if ! command -v dpkg-query >/dev/null 2>&1; then
	echo "ceir: this is not a Debian system; install the equivalents of $list by hand" >&2
	exit 0
fi

missing=
for package in $wanted; do
	# "ii " or "hi ": installed, whatever the wish; anything else (unknown, removed, half configured) is missing.
	case $(dpkg-query -W -f '${db:Status-Abbrev}' "$package" 2>/dev/null || true) in
	?i*) ;;
	*) missing="$missing $package" ;;
	esac
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" = 0 ]; then
	as_root=
elif command -v sudo >/dev/null 2>&1; then
	as_root=sudo
else
	echo "ceir: these packages are missing, and there is no sudo to install them. As root:" >&2
	echo "	apt-get install --no-install-recommends$missing" >&2
	exit 1
fi

echo "ceir: installing$missing"
apt() {
	# sudo forgets the environment, so what apt must know stands on its command line.
	$as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=120 "$@" </dev/null
}
# shellcheck disable=SC2086 # a list of words
if ! apt update || ! apt install -y --no-install-recommends $missing; then
	echo "ceir: apt-get could not install$missing" >&2
	exit 1
fi

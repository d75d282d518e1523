#!/bin/bash
# Is this list the register's, whole, and ours? With OpenSSL; nothing of ceir is needed.
#
#   check_list.sh KEY OPERATOR FILE ABOUT
#
#   KEY       keys/audit-sign.pub of the register: 64 hexadecimal digits; got once, from somebody you know
#   OPERATOR  our identifier: a list of another operator must not do
#   FILE      the list as it came, not unpacked
#   ABOUT     FILE.sig of the outbox, or what `ceirctl --json list get ... -o FILE` printed
set -eu -o pipefail

[ $# = 4 ] || { echo "usage: check_list.sh KEY OPERATOR FILE ABOUT" >&2; exit 2; }
key=$(cat "$1") operator=$2 file=$3 about=$(cat "$4")

# One value of the flat JSON object.
value() {
	printf '%s' "$about" | tr -d ' ' | sed -n "s/.*[{,]\"$1\":\"\{0,1\}\([^\",}]*\).*/\1/p"
}
bytes() { # of hexadecimal digits
	printf '%b' "$(printf '%s' "$1" | sed 's/../\\x&/g')"
}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
digest=$(sha256sum "$file" | cut -c 1-64)
printf 'ceir-list-1 %s %s %s %s %s %s %s\n' "$operator" "$(value list)" "$(value from)" "$(value to)" "$(value rows)" \
	"$(stat -c %s "$file")" "$digest" >"$work/line"
bytes "302a300506032b6570032100$key" >"$work/key"
bytes "$(value signature)" >"$work/signature"
if openssl pkeyutl -verify -pubin -keyform DER -inkey "$work/key" -rawin -in "$work/line" -sigfile "$work/signature" >/dev/null 2>&1; then
	echo "good: list $(value list) of $operator, changes $(value from) to $(value to), $(value rows) rows"
else
	echo "BAD: $file is not what the register signed for $operator" >&2
	exit 1
fi

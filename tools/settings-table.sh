#!/bin/sh
# The table of settings in docs/operations.md, from what `ceird config` prints.
#
#   tools/settings-table.sh           exit status 1 when the page does not say what the program says (a test calls this)
#   tools/settings-table.sh --write   writes it into the page
#
# CEIRD: the program; build/ceird unless set.
set -eu
cd "$(dirname "$0")/.."

page=docs/operations.md
new=$(mktemp)
trap 'rm -f "$new" "$new.table"' EXIT

"${CEIRD:-build/ceird}" config | awk '
	BEGIN { print "| setting | default | what |"; print "| --- | --- | --- |" }
	/^\[/ { section = substr($0, 2, length($0) - 2); next }
	/^# / { text = text (text == "" ? "" : " ") substr($0, 3); next }
	/=/ {
		name = $0; sub(/ *=.*/, "", name)
		value = $0; sub(/^[^=]*= */, "", value)
		gsub(/\|/, "\\|", text)
		printf "| %s.%s | %s | %s |\n", section, name, value == "" ? "" : "`" value "`", text
		text = ""
	}' >"$new.table"

awk -v table="$new.table" '
	/^<!-- begin of what tools\/settings-table.sh writes -->/ {
		print
		while ((getline line < table) > 0) print line
		skip = 1
		next
	}
	/^<!-- end of what tools\/settings-table.sh writes -->/ { skip = 0 }
	!skip { print }' "$page" >"$new"

if [ "${1:-}" = --write ]; then
	cat "$new" >"$page"
elif ! diff -u "$page" "$new"; then
	echo "$page and \`ceird config\` differ: run tools/settings-table.sh --write" >&2
	exit 1
fi

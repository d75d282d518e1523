#!/bin/bash
# make bench: the figures of docs/performance.md. JSON lines on standard output, a table on standard error.
#
#   bench/run.sh [BUILD] [quick|full] [all|register|triplets|files]
#
# register: quick, a register of a million devices, about two minutes; full, after that fifty million, some fifteen minutes and 12 GB of disk.
# triplets (bench/triplets.sh): quick, a country of two million, about five minutes; full, fifty million, then half a billion in the store by
# itself, an hour and 40 GB.
# files (bench/files.sh): tables of a million rows, files by the folder and by FTPS, lists and tables out; quick, of a register of a million, about two
# minutes; full, of fifty million, some fifteen minutes and 10 GB. BENCH_ROWS and BENCH_DEVICES make it smaller.
# Everything happens in a folder of its own below BENCH_DIR (/var/tmp: a disk, where /tmp may be memory) and is removed.
set -euo pipefail
cd "$(dirname "$0")/.."

build=${1:-${BUILD:-build}}
level=${2:-${LEVEL:-quick}}
stage=${3:-${STAGE:-all}}
seconds=${BENCH_SECONDS:-5}
million=1000000
devices=$million
case $level-$stage in
quick-all | quick-register | quick-triplets | quick-files | full-all | full-register | full-triplets | full-files) ;;
*) echo "Usage: bench/run.sh [BUILD] [quick|full] [all|register|triplets|files]" >&2 && exit 2 ;;
esac
[ "$level" = quick ] || devices=$((50 * million))
tacs=$((devices / 200000)) # bench/bench_population.c

scratch=$(mktemp -d "${BENCH_DIR:-/var/tmp}/ceir-bench.XXXXXX")
data=$scratch/data
pid=
server_options=() # beyond those of every server here

stop_server() {
	[ -z "$pid" ] || kill "$pid" 2>/dev/null || true
	[ -z "$pid" ] || wait "$pid" || true
	pid=
}

clean_up() {
	stop_server
	rm -rf "$scratch"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

now() {
	date +%s.%N
}

# Seconds since a moment that now() gave.
since() {
	awk -v now="$(now)" -v begun="$1" 'BEGIN {printf "%.2f", now - begun}'
}

# Lines go to standard output at once and are kept for the table.
emit() {
	tee -a "$scratch/results"
}

# Starts the server, waits for its line `ready epp=ADDRESS http=ADDRESS ftps=ADDRESS`, and reports how long that took and what is held in memory then.
start_server() {
	local begun line
	begun=$(now)
	: >"$scratch/ready"
	"$build/ceird" run "$data" -o epp.listen=127.0.0.1:0 -o http.listen=127.0.0.1:0 -o log.level=warn "${server_options[@]}" >"$scratch/ready" 2>>"$scratch/log" &
	pid=$!
	until line=$(grep '^ready ' "$scratch/ready"); do
		kill -0 "$pid" 2>/dev/null || { cat "$scratch/log" >&2; exit 1; }
		sleep 0.02
	done
	epp_port=$(sed -n 's/.* epp=[^ ]*:\([0-9]*\).*/\1/p' <<<"$line")
	http_port=$(sed -n 's/.* http=[^ ]*:\([0-9]*\).*/\1/p' <<<"$line")
	ftps_port=$(sed -n 's/.* ftps=[^ ]*:\([0-9]*\).*/\1/p' <<<"$line")
	printf '{"name": "start", "params": {"devices": %d}, "seconds": %s, "database_bytes": %d, "server_rss_bytes": %d}\n' "$1" \
		"$(since "$begun")" "$(database_bytes)" "$(($(sed -n 's/^VmRSS:[^0-9]*\([0-9]*\).*/\1/p' "/proc/$pid/status") * 1024))" |
		emit
}

# The database with its write-ahead log.
database_bytes() {
	stat -c %s "$data"/ceir.db* | awk '{n += $1} END {printf "%d", n}'
}

# load MODE OPTION...: one line. A load whose answers are not what they should be ends the run.
load() {
	echo "bench: $*" >&2
	"$build/bench/bench_epp" "$@" --dir "$data" --port "$epp_port" --pid "$pid" | emit
}

# Checks over a register of so many devices.
checks() {
	local depth
	for depth in 1 4 16 64; do
		load check --sessions 8 --depth "$depth" --devices "$1" --seconds "$seconds"
	done
	load check --sessions 8 --depth 256 --rate 20000 --devices "$1" --seconds "$seconds"
	load check --names 1000 --sessions 1 --depth 2 --devices "$1" --seconds "$seconds"
	load check --names 1000 --sessions 2 --depth 2 --devices "$1" --seconds "$seconds"
}

register_stage() {
	local account begun
	"$build/bench/bench_limits" "$scratch" | emit
	"$build/bench/bench_verdicts" $((50 * million)) 3000 | emit

	"$build/ceird" init "$data" >/dev/null
	for account in bench-customs bench-nra bench-lea bench-importer; do
		"$build/ceird" cert "$data" "$account" >/dev/null 2>>"$scratch/log"
	done
	start_server 0
	load setup --tacs "$tacs"
	load application --rows $million --per-command 10000
	checks $million
	load listing --sessions 32 --depth 1 --devices $million --seconds "$seconds"
	load listing --sessions 32 --depth 1 --rate 8000 --first 10000000 --devices $million --seconds "$seconds"
	stop_server
	start_server $million
	if [ "$level" = full ]; then
		load application --rows $million --per-command 10000 --first $million --applications 49
		stop_server
		start_server "$devices"
		checks "$devices"
		load listing --sessions 32 --depth 1 --first 20000000 --devices "$devices" --seconds "$seconds"
	fi
	stop_server
	if [ "$level" = quick ]; then
		begun=$(now)
		"$build/ceird" verify "$data" >"$scratch/verify" || { cat "$scratch/verify" >&2; exit 1; }
		printf '{"name": "verify", "params": {"devices": %d}, "seconds": %s}\n' "$devices" "$(since "$begun")" | emit
	fi
	"$build/bench/bench_limits" "$scratch" | emit
}

# shellcheck source=bench/triplets.sh
. bench/triplets.sh

# shellcheck source=bench/files.sh
. bench/files.sh

# runs STAGE: is it one of those asked for?
runs() {
	[ "$stage" = all ] || [ "$stage" = "$1" ]
}
if runs register; then register_stage; fi
if runs triplets; then triplet_stage; fi
if runs files; then file_stage; fi
/usr/bin/python3 bench/table.py <"$scratch/results" >&2

#!/bin/bash
# make check: everything that proves the tree. Ends with a line "N passed, N failed"; exit status 0 only when nothing failed.
#
#   gcc       the build people run: all tests
#   clang     a second opinion on warnings, and the unit tests once more
#   asan      AddressSanitizer and UndefinedBehaviorSanitizer over all tests; the same run measures coverage
#   tsan      ThreadSanitizer over the threaded tests (suite "threads")
#   fuzz      each libFuzzer target for some seconds (clang)
#
# Stages can be named on the command line; without names all run. Counted are the tests of each stage, and its build as one.
set -u
cd "$(dirname "$0")/.." || exit 1

build=${BUILD:-build}
checks=$build-check
passed=0
failed=0
failures=
started=$(date +%s)

good() {
	passed=$((passed + 1))
}

bad() {
	failed=$((failed + 1))
	failures="$failures"$'\n'"	$1"
}

# How a stage is built: dir, CC, options of Meson, and what of it when not all. Sanitizers do their work at -O1 as well, which costs half the
# time to compile; that level's warnings of uninitialised variables are often false. Where nobody debugs, lines are enough debug information.
plan() {
	dir=$checks/$1 CC=gcc options=() what=
	case $1 in
	gcc) dir=$build ;;
	clang) CC=clang options=(-Dc_args=-g1) ;;
	asan)
		# Counters of many threads must be atomic, or the coverage of a busy line reads as nonsense; the tests' own code has none. A check that
		# does not go on after a fault leaves fewer branches to be counted.
		options=("-Db_sanitize=address,undefined" -Db_coverage=true -Doptimization=1 "-Dc_args=-g1 -Wno-maybe-uninitialized
			-fprofile-update=atomic -fprofile-exclude-files=.*/(tests|bench)/.* -fno-sanitize-recover=undefined")
		;;
	tsan)
		options=(-Db_sanitize=thread -Doptimization=1 "-Dc_args=-g1 -Wno-maybe-uninitialized")
		what="targets_of_suite threads"
		;;
	fuzz)
		CC=clang options=(-Dfuzz=true "-Db_sanitize=address,undefined" -Db_lundef=false -Dc_args=-g1)
		what="echo fuzz_targets"
		;;
	*) echo "no such stage: $1"; return 1 ;;
	esac
	export CC
}

# What the tests of a suite need.
targets_of_suite() {
	/usr/bin/python3 -c '
import json, os, subprocess, sys
dir, suite = sys.argv[1:]
ask = lambda what: json.loads(subprocess.run(["meson", "introspect", what, dir], stdout=subprocess.PIPE, check=True).stdout)
files = {t["id"]: t["filename"] for t in ask("--targets")}
tests = [t for t in ask("--tests") if suite in [s.split(":")[-1] for s in t["suite"]]]
print(*{os.path.relpath(f, dir) for t in tests for id in t["depends"] for f in files[id]})' "$dir" "$1"
}

# build STAGE NICENESS: configures and builds.
build() {
	local dir CC options what again='' log=$checks/$1
	plan "$1" || return
	if [ ! -f "$dir/build.ninja" ] || [ "$(cat "$log.options" 2>/dev/null)" != "${options[*]}" ]; then
		[ ! -f "$dir/build.ninja" ] || again=--reconfigure
		meson setup $again "$dir" "${options[@]}" >"$log.setup.log" 2>&1 || { cat "$log.setup.log"; return 1; }
		[ ${#options[@]} = 0 ] || echo "${options[*]}" >"$log.options"
	fi
	# shellcheck disable=SC2046
	nice -n "$2" ninja -C "$dir" $($what) >"$log.ninja.log" 2>&1 || { grep -v '^\[' "$log.ninja.log" | tail -60; return 1; }
}

# All stages are built in their order while tests run: most of these wait. The first is waited for; the others give way to the tests.
build_ahead() {
	local stage niceness=0
	for stage in "$@"; do
		build "$stage" "$niceness" >"$checks/$stage.log" 2>&1
		echo $? >"$checks/$stage.status"
		niceness=10
	done
}

# built STAGE: waits for its build. A failure is one failure, and the stage's tests do not run.
built() {
	while [ ! -s "$checks/$1.status" ] && kill -0 "$ahead" 2>/dev/null; do
		sleep 0.2
	done
	if [ "$(cat "$checks/$1.status" 2>/dev/null)" = 0 ]; then
		good
	else
		cat "$checks/$1.log"
		bad "$1: build"
		return 1
	fi
}

# Results come from Meson's log: one JSON object a line, of which we need the one word behind "result".
count_results() {
	local log=$1 stage=$2 result name any=0
	while read -r result name; do
		any=1
		case $result in
		OK | EXPECTEDFAIL) good ;;
		SKIP) echo "skipped: $name ($stage)" ;;
		*) bad "$stage: $name ($result)" ;;
		esac
	done < <(/usr/bin/python3 -c '
import json, sys
for line in open(sys.argv[1], encoding="utf-8", errors="replace"):
    test = json.loads(line)
    print(test["result"], test["name"])' "$log")
	# A stage whose tests have vanished must not look green.
	[ $any = 1 ] || bad "$stage: no test ran"
}

# test_stage DIR MESON_TEST_ARGUMENT...: twice as many tests at a time as there are processors, for most wait for servers, clocks and the disk.
test_stage() {
	local dir=$1
	shift
	rm -f "$dir/meson-logs/testlog.json"
	meson test -C "$dir" --no-rebuild --print-errorlogs --num-processes $((2 * $(nproc))) "$@" </dev/null
	count_results "$dir/meson-logs/testlog.json" "$dir"
}

stage_gcc() {
	test_stage "$build"
}

stage_clang() {
	test_stage "$checks/clang" --suite unit --no-suite crash
}

stage_asan() {
	local dir=$checks/asan
	find "$dir" -name '*.gcda' -delete
	ASAN_OPTIONS=detect_leaks=1:halt_on_error=1:abort_on_error=1:detect_stack_use_after_return=1 \
		UBSAN_OPTIONS=halt_on_error=1:abort_on_error=1:print_stacktrace=1 test_stage "$dir" -t 4
	coverage "$dir"
}

coverage() {
	echo
	echo "Coverage of src/ in all tests:"
	/usr/bin/gcovr -j "$(nproc)" -r . --object-directory "$1" -f 'src/' --gcov-ignore-parse-errors --sort-uncovered \
		"$1" 2>"$1.gcovr.log" || { tail -3 "$1.gcovr.log"; bad "coverage: gcovr"; }
}

stage_tsan() {
	TSAN_OPTIONS=halt_on_error=1:second_deadlock_stack=1:suppressions=$PWD/tools/tsan.supp \
		test_stage "$checks/tsan" --suite threads -t 4
}

# These do not wait.
stage_fuzz() {
	test_stage "$checks/fuzz" --suite fuzz --num-processes "$(nproc)"
}

# Tests keep their files in memory where there is room: they wait for the disk more than for anything else, and nothing here takes the
# power away. CHECK_DISK=1 leaves them on the disk.
memory_folder() {
	[ -z "${CHECK_DISK:-}" ] && [ -z "${TMPDIR:-}" ] && [ -d /dev/shm ] && [ -w /dev/shm ] || return
	[ "$(df --output=avail -k /dev/shm | tail -1)" -gt $((4 << 20)) ] || return
	TMPDIR=$(mktemp -d /dev/shm/ceir-XXXXXX) || return
	export TMPDIR
	memory=$TMPDIR
}

clean() {
	[ -z "$ahead" ] || kill -- -"$ahead" 2>/dev/null
	[ -z "$memory" ] || rm -rf "$memory"
}

memory=
ahead=
trap clean EXIT
mkdir -p "$checks"
memory_folder
[ $# != 0 ] || set -- gcc clang asan tsan fuzz
for stage in "$@"; do
	rm -f "$checks/$stage.status"
done
set -m # a group of its own, to be ended as one
build_ahead "$@" </dev/null &
ahead=$!
set +m
for stage in "$@"; do
	begun=$(date +%s)
	echo
	echo "== $stage"
	! built "$stage" || "stage_$stage"
	echo "== $stage: $(($(date +%s) - begun)) s"
done

echo
[ $failed = 0 ] || echo "Failed:$failures"
echo "All stages: $(($(date +%s) - started)) s"
echo "$passed passed, $failed failed"
[ $failed = 0 ]

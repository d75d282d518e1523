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

# stage DIR MESON_OPTION...: configures and builds DIR. Its failure is one failure, and the stage's tests do not run.
build_stage() {
	local dir=$1
	shift
	if [ ! -f "$dir/build.ninja" ]; then
		meson setup "$dir" "$@" >"$dir.setup.log" 2>&1 || { cat "$dir.setup.log"; bad "$dir: meson setup"; return 1; }
	fi
	if ! ninja -C "$dir" >"$dir.ninja.log" 2>&1; then
		grep -v '^\[' "$dir.ninja.log" | tail -60
		bad "$dir: build"
		return 1
	fi
	good
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

# test_stage DIR MESON_TEST_ARGUMENT...
test_stage() {
	local dir=$1
	shift
	rm -f "$dir/meson-logs/testlog.json"
	meson test -C "$dir" --no-rebuild --print-errorlogs "$@" </dev/null
	count_results "$dir/meson-logs/testlog.json" "$dir"
}

stage_gcc() {
	# Most tests wait for servers, clocks and the disk: one more than there are processors of a small machine.
	CC=gcc build_stage "$build" && test_stage "$build" --num-processes 3
}

stage_clang() {
	CC=clang build_stage "$checks/clang" && test_stage "$checks/clang" --suite unit --no-suite crash
}

stage_asan() {
	local dir=$checks/asan
	# Counters of many threads must be atomic, or the coverage of a busy line reads as nonsense.
	CC=gcc build_stage "$dir" -Db_sanitize=address,undefined -Db_coverage=true -Dc_args=-fprofile-update=atomic || return
	find "$dir" -name '*.gcda' -delete
	ASAN_OPTIONS=detect_leaks=1:halt_on_error=1:abort_on_error=1:detect_stack_use_after_return=1 \
		UBSAN_OPTIONS=halt_on_error=1:abort_on_error=1:print_stacktrace=1 test_stage "$dir" -t 4
	coverage "$dir"
}

coverage() {
	echo
	echo "Coverage of src/ in all tests:"
	/usr/bin/gcovr -r . --object-directory "$1" -f 'src/' --gcov-ignore-parse-errors --sort-uncovered \
		"$1" 2>"$1.gcovr.log" || { tail -3 "$1.gcovr.log"; bad "coverage: gcovr"; }
}

stage_tsan() {
	local dir=$checks/tsan
	CC=gcc build_stage "$dir" -Db_sanitize=thread || return
	TSAN_OPTIONS=halt_on_error=1:second_deadlock_stack=1:suppressions=$PWD/tools/tsan.supp \
		test_stage "$dir" --suite threads -t 4
}

stage_fuzz() {
	local dir=$checks/fuzz
	CC=clang build_stage "$dir" -Dfuzz=true -Db_sanitize=address,undefined -Db_lundef=false || return
	test_stage "$dir" --suite fuzz
}

# Tests keep their files in memory where there is room: they wait for the disk more than for anything else, and nothing here takes the
# power away. CHECK_DISK=1 leaves them on the disk.
memory_folder() {
	[ -z "${CHECK_DISK:-}" ] && [ -z "${TMPDIR:-}" ] && [ -d /dev/shm ] && [ -w /dev/shm ] || return
	[ "$(df --output=avail -k /dev/shm | tail -1)" -gt $((4 << 20)) ] || return
	TMPDIR=$(mktemp -d /dev/shm/ceir-XXXXXX) || return
	export TMPDIR
	trap 'rm -rf "$TMPDIR"' EXIT
}

mkdir -p "$checks"
memory_folder
[ $# != 0 ] || set -- gcc clang asan tsan fuzz
for stage in "$@"; do
	begun=$(date +%s)
	echo
	echo "== $stage"
	"stage_$stage"
	echo "== $stage: $(($(date +%s) - begun)) s"
done

echo
[ $failed = 0 ] || echo "Failed:$failures"
echo "All stages: $(($(date +%s) - started)) s"
echo "$passed passed, $failed failed"
[ $failed = 0 ]

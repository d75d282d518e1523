# bench/triplets.sh - the second half of bench/run.sh, which reads it: the triplet store by itself, then deliveries, verdicts, lists and sightings
# through a real server. Not run by itself. Needs of run.sh: build, level, seconds, scratch, data, pid, epp_port, http_port and its functions.

day=$(date -u -d '7 days ago' +%F)

# engine MODE OPTION...: without a server.
engine() {
	echo "bench: $*" >&2
	"$build/bench/bench_triplets" "$@" --day "$day" | emit
}

# triplets MODE OPTION...: with the server.
triplets() {
	echo "bench: $*" >&2
	"$build/bench/bench_triplets" "$@" --day "$day" --dir "$data" --port "$http_port" --epp-port "$epp_port" --pid "$pid" | emit
}

# ctl ACCOUNT WORD...
ctl() {
	local account=$1
	shift
	"$build/ceirctl" --dir "$data" --port "$epp_port" --user "$account" "$@"
}

# ---- the store by itself -------------------------------------------------------------------------------------------------------

# Of so many triplets; then look-ups, scans and sightings on top of them.
triplet_engine() {
	local n=$1 store=$scratch/store first=0 callers batch
	engine engine-load --dir "$store" --triplets "$n" --callers 2
	engine engine-lookup --dir "$store" --triplets "$n" --seconds "$seconds"
	engine engine-scan --dir "$store" --triplets "$n" --callers 2
	for callers in 1 4; do
		for batch in 1000 5000; do
			engine engine-sight --dir "$store" --triplets "$n" --callers "$callers" --batch "$batch" --seconds "$seconds" --first $first
			first=$((first + 100 * million))
		done
	done
	rm -rf "$store"
}

# Half a billion, or as many as the disk has room for: the store, what is staged, and the new segments beside the old ones while they are made.
triplet_engine_largest() {
	local n=$((500 * million)) room
	room=$(df --output=avail -B1 "$scratch" | tail -1)
	if [ $((n * 60)) -gt "$room" ]; then
		n=$((room / 60 / million * million))
		echo "bench: the disk has room for $n triplets only, not 500 million" >&2
	fi
	engine engine-load --dir "$scratch/store" --triplets "$n" --callers 2 --change 0
	engine engine-lookup --dir "$scratch/store" --triplets "$n" --change 0 --seconds "$seconds"
	rm -rf "$scratch/store"
}

# ---- the server ----------------------------------------------------------------------------------------------------------------

# Numbers of each operator's subscribers (bench/triplet_population_layout.c), which have seven or eight digits behind the block.
number_blocks() {
	local operator block
	echo from,to,operator
	while read -r operator blocks; do
		for block in $blocks; do
			echo "380${block}0000000,380${block}9999999,$operator"
			echo "380${block}00000000,380${block}99999999,$operator"
		done
	done <<-'TEXT'
		OP1 50 66 95 99
		OP2 67 68 96 97 98 77
		OP3 63 73 93
		OP4 91 92 94
	TEXT
}

policy_command() {
	printf '<?xml version="1.0"?><epp xmlns="urn:ietf:params:xml:ns:epp-1.0"><command>%s<clTRID>bench-policy-%s</clTRID></command></epp>' "$2" "$1"
}

# Operators with networks, number blocks and accounts; the TACs that are allocated; an amnesty for all that is seen up to yesterday, as at the launch of a register.
triplet_country() {
	local n=$1 k xmlns='xmlns="urn:ceir:params:xml:ns:policy-1.0"' id
	{
		echo id,name,plmns
		echo OP1,One,25501
		echo OP2,Two,25503
		echo OP3,Three,25506
		echo OP4,Four,25507
	} >"$scratch/operators.csv"
	echo id,role,operator,pw-file,certificate-file >"$scratch/accounts.csv"
	for k in 1 2 3 4; do
		printf Bench-2026-load >"$data/keys/bench-op$k.password"
		echo "bench-op$k,operator,OP$k,$data/keys/bench-op$k.password,$data/keys/bench-op$k.crt" >>"$scratch/accounts.csv"
	done
	printf Bench-2026-load >"$data/keys/bench-nra.password"
	number_blocks >"$scratch/blocks.csv"
	"$build/bench/gen-triplets" --triplets "$n" --imeis --registered 0 --tacs "$scratch/tacs.csv"
	ctl admin operator import "$scratch/operators.csv" >&2
	ctl admin account import "$scratch/accounts.csv" >&2
	ctl bench-nra portability import "$scratch/blocks.csv" >&2
	ctl bench-nra tac import "$scratch/tacs.csv" >&2
	id=$(policy_command 1 "<create><create $xmlns><ground>bench</ground><amnestyFrom>$(date -u -d '30 days ago' +%F)</amnestyFrom><amnestyUntil>$(date -u -d yesterday +%F)</amnestyUntil></create></create>" |
		ctl admin epp | sed -n 's/.*:id>\([0-9][0-9]*\)<.*/\1/p')
	policy_command 2 "<update><update $xmlns><id>$id</id><chg><status>active</status><force>yes</force></chg></update></update>" | ctl admin epp >/dev/null
	sleep 20 # the run that follows a change of TACs and operators is over
}

# Checks at 20,000 names a second, so many in a command, and sightings by a timetable at the same time, of which so many in a hundred are of known triplets.
triplet_stream_beside_checks() {
	local n=$1 rate=$2 known=$3 time=$4 first=$5 names=$6 checks
	load check --sessions 8 --depth 256 --names "$names" --rate $((20000 / names)) --devices $million --seconds "$time" &
	checks=$!
	triplets stream --triplets "$n" --batch 1000 --connections 4 --rate "$rate" --known "$known" --seconds "$time" --first "$first"
	wait "$checks"
}

triplet_server() {
	local n=$1 stream_seconds=$2 account begun
	data=$scratch/triplets
	"$build/ceird" init "$data" >/dev/null
	for account in bench-customs bench-nra bench-lea bench-importer bench-op1 bench-op2 bench-op3 bench-op4; do
		"$build/ceird" cert "$data" "$account" >/dev/null 2>>"$scratch/log"
	done
	start_server 0
	load setup --tacs 5
	load application --rows $million --per-command 10000
	triplet_country "$n"
	triplets deliver --triplets "$n" --callers 4 --delivery 1
	triplets deliver --triplets "$n" --callers 4 --delivery 2
	triplets planted --triplets "$n"
	stop_server
	start_server $million
	load check --sessions 8 --depth 256 --rate 20000 --devices $million --seconds "$seconds"
	triplets stream --triplets "$n" --batch 1000 --connections 4 --seconds "$seconds"
	triplets stream --triplets "$n" --batch 5000 --connections 2 --seconds "$seconds" --first $((200 * million))
	triplets stream --triplets "$n" --batch 5000 --connections 2 --seconds "$seconds" --first $((300 * million)) --known 99
	triplet_stream_beside_checks "$n" 50000 90 "$seconds" $((400 * million)) 1
	triplet_stream_beside_checks "$n" 250000 99 "$stream_seconds" $((500 * million)) 10
	stop_server
	begun=$(now)
	"$build/ceird" verify "$data" >"$scratch/verify" || { cat "$scratch/verify" >&2; exit 1; }
	printf '{"name": "verify", "params": {"triplets": %d}, "seconds": %s}\n' "$n" "$(since "$begun")" | emit
	rm -rf "$data"
}

triplet_stage() {
	local n=$((2 * million)) stream_seconds=$seconds
	if [ "$level" = full ]; then
		n=$((50 * million))
		stream_seconds=600
	fi
	"$build/bench/bench_limits" "$scratch" | emit
	"$build/bench/bench_parse" | emit
	triplet_engine "$n"
	triplet_server "$n" "$stream_seconds"
	[ "$level" = quick ] || triplet_engine_largest
	"$build/bench/bench_limits" "$scratch" | emit
}

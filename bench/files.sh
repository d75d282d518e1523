# bench/files.sh - the third part of bench/run.sh, which reads it: tables by themselves, then a register whose files come by the folder and by FTPS,
# and whose white list and table of IMEIs go out. Not run by itself. Needs of run.sh: build, level, million, seconds, scratch, data, pid, epp_port, http_port,
# ftps_port and its functions.

# file_load PROGRAM MODE OPTION...
file_load() {
	echo "bench: $*" >&2
	"$build/bench/$1" "${@:2}" | emit
}

# ---- without a server ---------------------------------------------------------------------------------------------------------

file_tables() {
	mkdir "$scratch/tables"
	file_load bench_files tables --dir "$scratch/tables" --helper "$build/ceir-table" --rows "$1"
	rm -rf "$scratch/tables"
}

# ---- a register with so many devices, and its server ------------------------------------------------------------------------------------------

# Accounts that come by FTPS (a hundred shops and the importer), and an operator, who gets lists.
file_accounts() {
	local k
	printf Bench-2026-load >"$data/keys/bench.password"
	echo id,name,plmns >"$scratch/operators.csv"
	echo OP1,One,25501 >>"$scratch/operators.csv"
	echo id,role,operator,pw-file,certificate-file >"$scratch/accounts.csv"
	echo "bench-op1,operator,OP1,$data/keys/bench.password,$data/keys/bench-op1.crt" >>"$scratch/accounts.csv"
	echo id,role,ftps,pw-file >"$scratch/shops.csv"
	for k in $(seq 100); do
		echo "bench-pos$k,pos,yes,$data/keys/bench.password" >>"$scratch/shops.csv"
	done
	ctl admin operator import "$scratch/operators.csv" --quiet >&2
	ctl admin account import "$scratch/accounts.csv" --quiet >&2
	ctl admin account import "$scratch/shops.csv" --quiet >&2
	ctl admin account update bench-importer --ftps yes --quiet >&2
}

# devices come in applications of a million each, two more come as files.
file_register() {
	local devices=$1 account
	data=$scratch/files
	"$build/ceird" init "$data" >/dev/null
	for account in bench-customs bench-nra bench-lea bench-importer bench-op1; do
		"$build/ceird" cert "$data" "$account" >/dev/null 2>>"$scratch/log"
	done
	start_server 0
	load setup --tacs $(((devices + 2 * file_rows + 199999) / 200000))
	load application --rows "$file_rows" --per-command 10000 --applications $((devices / file_rows))
	file_accounts
}

# ---- files in -----------------------------------------------------------------------------------------------------------------

# drop PROGRAM NAME FIRST OPTION...: an application of devices from FIRST on, until its answer lies in out/.
file_drop() {
	local program=$1 name=$2 first=$3
	shift 3
	"$build/bench/bench_files" make --out "$scratch/application.csv" --rows "$file_rows" --first "$first"
	file_load "$program" drop --file "$scratch/application.csv" --name "$name" --home "$data/files/bench-importer/ftp" --rows "$file_rows" \
		--pid "$pid" "$@"
	rm "$scratch/application.csv"
}

# ---- lists and tables out -----------------------------------------------------------------------------------------------------

# What the disk and the memory give: the same bytes into another file, durable.
copy_seconds() {
	local begun
	begun=$(now)
	cat "$1" >"$scratch/copy"
	sync "$scratch/copy"
	since "$begun"
	rm "$scratch/copy"
}

# out NAME ROWS SECONDS FILE PARAMETERS: a line, with the time of a copy beside it.
out() {
	local copy bytes
	copy=$(copy_seconds "$4")
	bytes=$(stat -c %s "$4")
	awk -v name="$1" -v rows="$2" -v seconds="$3" -v bytes="$bytes" -v copy="$copy" -v params="$5" 'BEGIN {
		printf "{\"name\": \"%s\", \"params\": {%s}, \"operations\": %d, \"unit\": \"rows\", \"seconds\": %.2f, \"rate\": %.0f, \"bytes\": %.0f, " \
			"\"mb_s\": %.1f, \"copy_s\": %.2f, \"times_copy\": %.2f}\n", name, params, rows, seconds, rows / seconds, bytes, bytes / seconds / 1e6,
			copy, (copy > 0 ? seconds / copy : 0)
	}' | emit
}

server_cpu() {
	awk -v tick="$(getconf CLK_TCK)" '{sub(/.*\) /, ""); print ($12 + $13) / tick}' "/proc/$pid/stat"
}

# The whole white list, made and sent over HTTPS. It is whole and durable in the register's folder when the first byte of the answer comes.
white_list() {
	local packing=$1 rows=$2 file made all line cpu
	cpu=$(server_cpu)
	line=$(curl -sS --fail --cacert "$data/keys/ca.crt" --cert "$data/keys/bench-op1.crt" --key "$data/keys/bench-op1.key" \
		${packing:+--header "Accept-Encoding: $packing"} --output "$scratch/list" --write-out '%{time_starttransfer} %{time_total}' \
		"https://localhost:$http_port/v1/lists/white")
	cpu=$(awk -v a="$cpu" -v b="$(server_cpu)" 'BEGIN {printf "%.2f", b - a}')
	read -r made all <<<"$line"
	file=$(ls -t "$data"/lists/OP1/white-full-* | head -1)
	case $packing in
	zstd) test "$(zstdcat "$file" | wc -l)" = $((rows + 1)) ;;
	*) test "$(wc -l <"$file")" = $((rows + 1)) ;;
	esac || { echo "bench: the white list has not the $rows rows it should have" >&2 && exit 1; }
	cmp "$file" "$scratch/list" || exit 1
	out white-list "$rows" "$made" "$file" "\"packing\": \"${packing:-none}\", \"sent_s\": $all, \"server_cpu_s\": $cpu"
	rm "$scratch/list"
}

# ceirctl export imei: page after page over EPP. It takes some 20 us a row, so not all of fifty million: those whose IMEI begins so.
export_imeis() {
	local prefix=$1 rows=$2 begun span cpu
	cpu=$(server_cpu)
	begun=$(now)
	ctl admin export imei --filter "name ^ $prefix" --columns imei,status --out "$scratch/imeis.csv" --quiet
	span=$(since "$begun")
	cpu=$(awk -v a="$cpu" -v b="$(server_cpu)" 'BEGIN {printf "%.2f", b - a}')
	test "$(wc -l <"$scratch/imeis.csv")" = $((rows + 1)) || { echo "bench: the table has not the $rows rows it should have" >&2 && exit 1; }
	out export "$rows" "$span" "$scratch/imeis.csv" "\"object\": \"imei\", \"columns\": 2, \"server_cpu_s\": $cpu"
	rm "$scratch/imeis.csv"
}

least() {
	echo $(($1 < $2 ? $1 : $2))
}

# ---- all ----------------------------------------------------------------------------------------------------------------------

file_server() {
	local devices=$1
	file_register "$devices" # and the folder alone: with FTPS it is pure-ftpd that says when a file is whole
	file_drop bench_files application-folder.csv "$devices"
	stop_server
	server_options=(-o ftps.listen=127.0.0.1:0 -o ftps.max_clients_address=128)
	start_server $((devices + file_rows))
	file_drop bench_ftps application-ftps.csv $((devices + file_rows)) --port "$ftps_port" --ca "$data/keys/ca.crt"
	file_load bench_ftps sessions --port "$ftps_port" --ca "$data/keys/ca.crt" --sessions 100 --rounds 3 --devices "$devices" --pid "$pid"
	white_list "" $((devices + 2 * file_rows))
	white_list zstd $((devices + 2 * file_rows))
	if [ "$level" = quick ]; then
		export_imeis 35900000 "$(least $((devices + 2 * file_rows)) 200000)" # a TAC has 200,000 (bench_population.c)
	else
		export_imeis 3590000 "$(least $((devices + 2 * file_rows)) 2000000)"
	fi
	stop_server
	server_options=()
	rm -rf "$data"
}

# Rows of a table, of an application's file, and of the applications that fill the register: a multiple of 10,000, of which BENCH_DEVICES is one.
file_rows=${BENCH_ROWS:-$million}

file_stage() {
	local devices=${BENCH_DEVICES:-$million}
	[ "$level" = quick ] || devices=${BENCH_DEVICES:-$((50 * million))}
	[ -x "$build/bench/bench_ftps" ] || { echo "bench: no bench_ftps: it wants libcurl4-gnutls-dev (make packages), then configure again" >&2 && exit 1; }
	"$build/bench/bench_limits" "$scratch" | emit
	file_tables "$file_rows"
	file_server "$devices"
	"$build/bench/bench_limits" "$scratch" | emit
}

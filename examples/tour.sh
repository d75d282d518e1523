#!/bin/bash
# The tour: a register made from nothing, an example country loaded into it by its own offices, and a story played through. Every
# step checks what it got, so the tour is a test as well.
#
#   BUILD=build   where ceird and ceirctl are
#   VAR=var       where the data folder and the log go
#   ONCE=1        end after the tour, exit status 0; else serve until Ctrl-C
#   KEEP=1        serve the register of an earlier tour again, without playing
set -eu
cd "$(dirname "$0")/.."

build=${BUILD:-build}
var=${VAR:-var}
once=${ONCE:-}
keep=${KEEP:-}
dir=$var/ceir
country=examples/country
ceird=$build/ceird
ceirctl=$build/ceirctl
pid=
port=

# ---- telling, running, checking --------------------------------------------------------------------------------------------

if [ -t 1 ]; then bold=$'\e[1m' dim=$'\e[2m' plain=$'\e[0m'; else bold='' dim='' plain=''; fi

chapter() {
	printf '\n%s== %s%s\n' "$bold" "$*" "$plain"
}

fail() {
	printf '\ntour: %s\n' "$*" >&2
	[ ! -s "$var/ceird.log" ] || { echo "tour: the end of $var/ceird.log:" >&2; tail -20 "$var/ceird.log" >&2; }
	exit 1
}

stop() {
	[ -z "$pid" ] || kill -TERM "$pid" 2>/dev/null || true
	[ -z "$pid" ] || wait "$pid" || true
	pid=
}
trap stop EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# ctl ROLE WORD...: ceirctl as an account of the country, nothing printed but its answer.
ctl() {
	local role=$1
	shift
	"$ceirctl" --dir "$dir" --host "$host" --port "$port" --user "$role" "$@"
}

# play STATUS ROLE WORD...: shows a command and its answer, kept in $answer. STATUS: 0, or 1 where the register shall refuse.
play() {
	local want=$1 role=$2 status=0
	shift 2
	printf '\n%s$ ceirctl --dir %s --user %s%s%s\n' "$bold" "$dir" "$role" "$(printf ' %q' "$@")" "$plain"
	answer=$(ctl "$role" "$@" 2>&1) || status=$?
	printf '%s\n' "$answer"
	[ "$status" = "$want" ] || fail "ceirctl ended with $status, expected $want"
}

# frame ROLE LANG < DOCUMENT: shows a frame as sent and its answer, indented; kept in $answer.
frame() {
	local role=$1 lang=$2 request
	request=$(cat)
	printf '\n%s-> as %s, language %s%s\n%s\n' "$dim" "$role" "$lang" "$plain" "$request"
	answer=$(printf '%s\n' "$request" | ctl "$role" --lang "$lang" epp) || true
	answer=$(printf '%s' "$answer" | xmllint --format -) || fail "the answer is not XML"
	printf '%s<-%s\n%s\n' "$dim" "$plain" "$answer"
}

# expect TEXT...: all of it must stand in the last answer.
expect() {
	local text
	for text in "$@"; do
		case $answer in
		*"$text"*) ;;
		*) fail "expected \"$text\" in the answer above" ;;
		esac
	done
}

# load ROLE WORD...: one record of the country; silent unless refused.
load() {
	local role=$1 out
	shift
	out=$(ctl "$role" "$@" 2>&1) || fail "ceirctl --user $role $*: $out"
	loaded=$((loaded + 1))
}

# rows FILE: the lines behind the heading.
rows() {
	tail -n +2 "$country/$1"
}

# ---- the server --------------------------------------------------------------------------------------------------------------

port_taken() {
	(exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null
}

serve() {
	local listen=127.0.0.1:7700 i
	if port_taken 7700; then
		echo "Port 7700 is taken by another program: using a free one."
		listen=127.0.0.1:0
	fi
	"$ceird" run "$dir" -o epp.listen="$listen" >"$var/ceird.out" 2>"$var/ceird.log" </dev/null &
	pid=$!
	for ((i = 0; i < 300; i++)); do
		grep -q '^ready ' "$var/ceird.out" && break
		kill -0 "$pid" 2>/dev/null || { pid=; fail "ceird did not start"; }
		sleep 0.1
	done
	address=$(sed -n 's/^ready .*epp=\([^ ]*\).*/\1/p' "$var/ceird.out")
	[ -n "$address" ] || fail "ceird does not get ready"
	host=${address%:*}
	port=${address##*:}
	echo "ceird serves $dir: EPP over TLS on $address, log in $var/ceird.log, process $pid"
}

make_register() {
	chapter "A register from nothing"
	rm -rf "$dir"
	"$ceird" init "$dir"
	serve
}

# ---- the country -----------------------------------------------------------------------------------------------------------------

# Every account gets a certificate from the private CA and a password; both lie in keys/, where ceirctl --dir finds them.
make_account() {
	local id=$1 role=$2 importer=$3 operator=$4 fingerprint words=()
	(umask 077 && tr -dc A-Za-z0-9 </dev/urandom 2>/dev/null | head -c 16 >"$dir/keys/$id.password")
	[ -z "$importer" ] || words+=(--importer "$importer")
	[ -z "$operator" ] || words+=(--operator "$operator")
	if [ "$role" != pos ]; then
		fingerprint=$("$ceird" cert "$dir" "$id" 2>/dev/null)
		words+=(--certificate "$fingerprint")
	fi
	load admin account create "$id" --role "$role" --pw-file "$dir/keys/$id.password" "${words[@]}"
}

make_accounts() {
	local id role importer operator
	while IFS=, read -r id role importer operator; do
		make_account "$id" "$role" "$importer" "$operator"
	done < <(rows accounts.csv | grep "$1")
}

load_importers() {
	local id name address land email voice
	while IFS=, read -r id name address land email voice; do
		load customs importer create "$id" --name "$name" --address "$address" --country "$land" --email "$email" --voice "$voice"
	done < <(rows importers.csv)
}

load_tacs() {
	local id manufacturer model brand type rat sims
	while IFS=, read -r id manufacturer model brand type rat sims; do
		load nra tac create "$id" --manufacturer "$manufacturer" --model "$model" --brand "$brand" --type "$type" --rat "$rat" --sims "$sims"
	done < <(rows tacs.csv)
}

load_certificates() {
	local id issued expires holder manufacturer model tacs tac words
	while IFS=, read -r id issued expires holder manufacturer model tacs; do
		words=()
		for tac in $tacs; do words+=(--tac "$tac"); done
		load nra certificate create "$id" --issued "$issued" --exDate "$expires" --holder "$holder" --manufacturer "$manufacturer" \
			--model "$model" "${words[@]}"
	done < <(rows certificates.csv)
}

# A permit has a row for each position; its rows stand together.
load_permits() {
	local id importer issued expires rest words=() last=''
	while IFS=, read -r id importer issued expires rest; do
		if [ "$id" != "$last" ]; then
			[ -z "$last" ] || load customs permit create "$last" "${words[@]}"
			words=(--importer "$importer" --issued "$issued" --exDate "$expires")
			last=$id
		fi
		words+=(--position "$(position "$rest")")
	done < <(rows permits.csv)
	load customs permit create "$last" "${words[@]}"
}

position() {
	local number certificate manufacturer model land quantity price currency
	IFS=, read -r number certificate manufacturer model land quantity price currency <<<"$1"
	printf 'number=%s,certificate=%s,manufacturer=%s,model=%s,country=%s,quantity=%s,price=%s,currency=%s' \
		"$number" "$certificate" "$manufacturer" "$model" "$land" "$quantity" "$price" "$currency"
}

load_country() {
	chapter "The example country, entered by its own offices"
	loaded=0
	make_accounts -v,importer,
	load_importers
	make_accounts ,importer,
	load_tacs
	load_certificates
	load_permits
	echo "$loaded records: accounts by admin, importers and permits by customs, certificates and TACs by the regulator (nra)"
}

# ---- the story -------------------------------------------------------------------------------------------------------------------------

check_frame() {
	printf '<?xml version="1.0" encoding="UTF-8"?>\n<epp xmlns="urn:ietf:params:xml:ns:epp-1.0">\n  <command>\n    <check>\n'
	printf '      <imei:check xmlns:imei="urn:ietf:params:xml:ns:imei-1.0">\n        <imei:name>%s</imei:name>\n      </imei:check>\n' "$1"
	printf '    </check>\n    <clTRID>%s</clTRID>\n  </command>\n</epp>\n' "$2"
}

story_sample() {
	chapter "The customer's own sample: is it in the register? Not yet; and the second number is no IMEI at all (its last digit is wrong)"
	frame pos en <examples/epp-check-request.xml
	expect 'code="1000"' 'avail="1">352106050544203<' '>Object is not valid<' '<clTRID>USER-1275850648</clTRID>' '<svTRID>UKR-'
}

story_applications() {
	chapter "An importer submits IMEIs under permit CT07-287/062, position 1: good ones, and one of each common mistake"
	play 0 importer application submit "$country/application-1.csv" --permit CT07-287/062 --position 1 --wait
	expect 352106050700028 999999990000016
	chapter "Five IMEIs under position 2, where the permit leaves three: two are refused"
	play 0 importer application submit "$country/application-2.csv" --permit CT07-287/062 --position 2 --wait
	expect 358240051000057
}

story_screen() {
	chapter "The same sample again: now the first number is taken"
	frame pos en <examples/epp-check-request.xml
	expect 'avail="0">352106050544203<' '>Object exists<' '<imei:colour>white</imei:colour>'
	chapter "The device with its papers, as customs see it"
	play 0 customs imei info 352106050544203
	expect 352106050544203 8978140007623 Company-Importer-of-mobile-devices CT07-287/062 2015-12-12 UAT.888.0162779-18 2015-12-09 \
		Samsung GT-P3100 KR 4800.00 UAH
}

story_stolen() {
	chapter "A phone is stolen: law enforcement lists it black, on its own authority"
	play 0 lea listing create --imei 352106050544211 --colour black --reason stolen --ground "Kyiv police, case 12026100000001"
	chapter "Everybody's check shows it, in the language of the session"
	frame pos en < <(check_frame 352106050544211 TOUR-0001)
	expect '<imei:colour>black</imei:colour>' '<imei:reason>stolen</imei:reason>'
	frame pos uk < <(check_frame 352106050544211 TOUR-0002)
	expect '<imei:colour>black</imei:colour>' 'Команду виконано успішно'
}

story_refused() {
	chapter "What is refused: another importer's device, and a listing by an office that may not"
	play 1 importer2 imei info 352106050544203
	play 1 tax listing create --imei 352106050544203 --colour black --reason other --ground "no authority"
	expect 2201
}

story_messages() {
	chapter "Messages wait for the importer until it has taken them"
	frame importer en <<-'XML'
		<?xml version="1.0" encoding="UTF-8"?>
		<epp xmlns="urn:ietf:params:xml:ns:epp-1.0">
		  <command>
		    <poll op="req"/>
		    <clTRID>TOUR-0003</clTRID>
		  </command>
		</epp>
	XML
	expect 'code="1301"' '<msgQ '
}

story_audit() {
	chapter "Every command was a transaction; these are the latest, refused ones too"
	play 0 admin transaction query --sort seq --desc --limit 8
	expect listing importer2
	chapter "The register is sound, and the end of the audit chain is signed"
	"$ceird" audit-head "$dir" | tee "$var/audit-head.json"
	"$ceird" verify "$dir" --head "$var/audit-head.json" || fail "ceird verify found faults"
}

goodbye() {
	chapter "Log in yourself"
	cat <<-TEXT
		EPP over TLS: $address    data: $dir    log: $var/ceird.log

		Accounts: admin customs nra lea tax importer importer2 operator pos. Each has a certificate and key in $dir/keys/NAME.crt and .key, and
		its password in $dir/keys/NAME.password (pos needs no certificate). As any of them:

		  $ceirctl --dir $dir --port $port --user lea imei check 352106050544203 352106050544211
		  $ceirctl --dir $dir --port $port --user customs permit info CT07-287/062
		  $ceirctl --dir $dir --port $port --user importer epp < examples/epp-check-request.xml

		Any EPP client will do: CA $dir/keys/ca.crt, host 127.0.0.1 or localhost.
	TEXT
}

# ---- all of it -----------------------------------------------------------------------------------------------------------------

mkdir -p "$var"
# A ceird that still serves the folder holds this lock; the tour would take its data away under it.
if [ -e "$dir/ceird.lock" ] && ! flock -n "$dir/ceird.lock" true; then
	fail "$dir is served by a ceird that runs (process $(cat "$dir/ceird.lock")); stop it, or set VAR to another folder"
fi

if [ -n "$keep" ] && [ -d "$dir" ]; then
	chapter "The register of the last tour"
	serve
else
	make_register
	load_country
	story_sample
	story_applications
	story_screen
	story_stolen
	story_refused
	story_messages
	story_audit
fi
goodbye

if [ -n "$once" ]; then
	kill -TERM "$pid"
	wait "$pid" || fail "ceird ended with status $?"
	pid=
	chapter "The tour is complete"
else
	printf '\nServing until Ctrl-C.\n'
	trap 'exit 0' INT TERM
	wait "$pid" || fail "ceird ended with status $?"
	pid=
fi

#!/bin/bash
# The tour: a register made from nothing, an example country loaded into it by its own offices, and a story played through. Every
# step checks what it got, so the tour is a test as well.
#
#   BUILD=build   where ceird and ceirctl are
#   VAR=var       where the data folder and the log go
#   ONCE=1        end after the tour, exit status 0; else serve until Ctrl-C
#   KEEP=1        serve the register of an earlier tour again, without playing
set -eu -o pipefail
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

# Words as one would type them.
quoted() {
	local word
	for word in "$@"; do
		case $word in
		*[!A-Za-z0-9_./:=+,-]*) printf " '%s'" "$word" ;;
		*) printf ' %s' "$word" ;;
		esac
	done
}

# play STATUS ROLE WORD...: shows a command and its answer, kept in $answer. STATUS: 0, or 1 where the register shall refuse.
play() {
	local want=$1 role=$2 status=0
	shift 2
	printf '\n%s$ ceirctl --dir %s --user %s%s%s\n' "$bold" "$dir" "$role" "$(quoted "$@")" "$plain"
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

# field NAME: its value in the last answer.
field() {
	printf '%s\n' "$answer" | sed -n "s/^$1: *//p"
}

# expect_counts ACCEPTED REFUSED: of an application that is done.
expect_counts() {
	[ "$(field status)" = "done" ] || fail "the application is not done"
	[ "$(field accepted) $(field refused)" = "$1 $2" ] || fail "expected $1 accepted and $2 refused"
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
	rm -f "$var/ceird.out" "$var/ceird.log" # or the ready line of an earlier tour is taken for this one's
	"$ceird" run "$dir" -o epp.listen="$listen" >"$var/ceird.out" 2>"$var/ceird.log" </dev/null &
	pid=$!
	for ((i = 0; i < 300; i++)); do
		grep -qs '^ready ' "$var/ceird.out" && break
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

# Every account gets a certificate from the private CA and a password; both lie in keys/, where ceirctl --dir finds them. Only pos,
# the public counter, logs in without a certificate.
make_keys() {
	local id=$1 role=$2
	(umask 077 && head -c 48 /dev/urandom | base64 -w 0 | tr -dc A-Za-z0-9 | cut -c 1-16 >"$dir/keys/$id.password")
	[ "$role" = pos ] || "$ceird" cert "$dir" "$id" >/dev/null 2>&1
}

# accounts_file NAME PATTERN: the accounts whose line matches, as a file for `account import`.
accounts_file() {
	local file=$var/$1 id role importer operator certificate
	echo "id,role,importer,operator,pw-file,certificate-file" >"$file"
	while IFS=, read -r id role importer operator; do
		make_keys "$id" "$role"
		certificate=$dir/keys/$id.crt
		[ -e "$certificate" ] || certificate=
		echo "$id,$role,$importer,$operator,$dir/keys/$id.password,$certificate" >>"$file"
	done < <(rows accounts.csv | grep -E "$2")
}

load_country() {
	chapter "The example country, entered by its own offices"
	accounts_file accounts-offices.csv '^[^,]*,(customs|nra|lea|tax|operator|pos),'
	accounts_file accounts-importers.csv '^[^,]*,importer,'
	play 0 admin account import "$var/accounts-offices.csv"
	play 0 customs importer import "$country/importers.csv"
	play 0 admin account import "$var/accounts-importers.csv"
	play 0 nra tac import "$country/tacs.csv"
	play 0 nra certificate import "$country/certificates.csv"
	play 0 customs permit import "$country/permits.csv"
}

# ---- the story ----------------------------------------------------------------------------------------------------------------

check_frame() {
	printf '<?xml version="1.0" encoding="UTF-8"?>\n<epp xmlns="urn:ietf:params:xml:ns:epp-1.0">\n  <command>\n    <check>\n'
	printf '      <imei:check xmlns:imei="urn:ietf:params:xml:ns:imei-1.0">\n'
	printf '        <imei:name>%s</imei:name>\n      </imei:check>\n' "$1"
	printf '    </check>\n    <clTRID>%s</clTRID>\n  </command>\n</epp>\n' "$2"
}

story_sample() {
	chapter "The customer's own sample: not in the register yet; the second number is no IMEI (its last digit is wrong)"
	frame pos en <examples/epp-check-request.xml
	expect 'code="1000"' 'avail="1">352106050544203<' '>Object is not valid<' '<clTRID>USER-1275850648</clTRID>' '<svTRID>UKR-'
}

story_applications() {
	chapter "An importer submits IMEIs under permit CT07-287/062, position 1: good ones, and one of each common mistake"
	play 0 importer application submit "$country/application-1.csv" --permit CT07-287/062 --position 1 --wait
	expect_counts 4 6
	application=$(field id)
	play 0 importer application result "$application"
	expect luhn duplicate tac-unknown
	chapter "The same reasons, in the language of the session"
	play 0 importer application result "$application" --refused --lang uk
	chapter "Five IMEIs under position 2, where the permit leaves three: two are refused"
	play 0 importer application submit "$country/application-2.csv" --permit CT07-287/062 --position 2 --wait
	expect_counts 3 2
	play 0 importer application result "$(field id)" --refused
	expect 358240051000040 358240051000057 quantity
}

story_screen() {
	chapter "The same sample again: now the first number is taken"
	frame pos en <examples/epp-check-request.xml
	expect 'avail="0">352106050544203<' '>Object exists<' '<imei:state reason="registered">white</imei:state>'
	chapter "The device with its papers, as customs see it"
	play 0 customs imei info 352106050544203
	expect 352106050544203 8978140007623 Company-Importer-of-mobile-devices CT07-287/062 2015-12-12 \
		UAT.888.0162779-18 2015-12-09 Samsung GT-P3100 KR 4800.00 UAH
}

story_stolen() {
	chapter "A phone is stolen: law enforcement lists it black, on its own authority"
	play 0 lea listing create --imei 352106050544211 --colour black --reason stolen --ground "Kyiv police, case 12026100000001"
	chapter "Everybody's check shows it, in the language of the session"
	frame pos en < <(check_frame 352106050544211 TOUR-0001)
	expect '<imei:state reason="stolen">black</imei:state>'
	frame pos uk < <(check_frame 352106050544211 TOUR-0002)
	expect '<imei:state reason="stolen">black</imei:state>' 'Команду виконано успішно'
}

story_refused() {
	chapter "What is refused: another importer's device, and a listing by an office that may not"
	play 1 importer2 imei info 352106050544203
	play 1 tax listing create --imei 352106050544203 --colour black --reason other --ground "no authority"
	expect 2201
	refused=$(printf '%s\n' "$answer" | sed -n 's/^ *svTRID: *//p')
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
	chapter "Every command was a transaction, the refused ones too: this is the last one, as it stands in the audit log"
	play 0 admin transaction info "$refused"
	expect tax listing create 2201
	play 0 admin transaction query --count-only
	chapter "The register is sound, and the end of the audit chain is signed"
	"$ceird" audit-head "$dir" | tee "$var/audit-head.json"
	"$ceird" verify "$dir" --head "$var/audit-head.json" || fail "ceird verify found faults"
}

goodbye() {
	chapter "Log in yourself"
	cat <<-TEXT
		EPP over TLS: $address    data: $dir    log: $var/ceird.log

		Accounts: admin customs nra lea tax importer importer2 operator pos. In $dir/keys/ each has
		NAME.crt, NAME.key and NAME.password (pos needs no certificate). As any of them:

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
	echo "tour: $dir is served by a running ceird, process $(cat "$dir/ceird.lock"); stop it, or set VAR to another folder" >&2
	exit 1
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

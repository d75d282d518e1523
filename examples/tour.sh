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
http_port=
ftps_port=

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

# ctl ROLE WORD...: ceirctl as an account of the country, nothing printed but its answer. Deliveries and list files go over HTTPS.
ctl() {
	local role=$1 to=$port
	shift
	case "$1 ${2-}" in
	deliver\ * | delivery\ rejects | list\ get) to=$http_port ;;
	esac
	"$ceirctl" --dir "$dir" --host "$host" --port "$to" --user "$role" "$@"
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

# await SECONDS PATTERN ROLE WORD...: for what is done in the background: asks until the answer matches; kept in $answer, nothing printed.
await() {
	local tries=$(($1 * 10)) pattern=$2
	shift 2
	while [ "$tries" -gt 0 ]; do
		answer=$(ctl "$@" 2>&1) || true
		[[ $answer =~ $pattern ]] && return
		tries=$((tries - 1))
		sleep 0.1
	done
	printf '%s\n' "$answer"
	fail "\"$pattern\" does not come into the answer above"
}

# run WORD...: shows another command and its output, kept in $answer.
run() {
	printf '\n%s$%s%s\n' "$bold" "$(quoted "$@")" "$plain"
	answer=$("$@" 2>&1) || { printf '%s\n' "$answer"; fail "$1 failed"; }
	printf '%s\n' "$answer"
}

# days N: the date so many days from the day on which the tour began.
days() {
	date -u -d "$today $1 days" +%F
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
	local listen=127.0.0.1:7700 http=127.0.0.1:7743 ftps=127.0.0.1:7721 i
	if port_taken 7700 || port_taken 7743 || port_taken 7721; then
		echo "Port 7700, 7743 or 7721 is taken by another program: using free ones."
		listen=127.0.0.1:0
		http=127.0.0.1:0
		ftps=127.0.0.1:0
	fi
	rm -f "$var/ceird.out" "$var/ceird.log" # or the ready line of an earlier tour is taken for this one's
	"$ceird" run "$dir" -o epp.listen="$listen" -o http.listen="$http" -o ftps.listen="$ftps" -o lists.interval_s=1 >"$var/ceird.out" 2>"$var/ceird.log" </dev/null &
	pid=$!
	for ((i = 0; i < 300; i++)); do
		grep -qs '^ready ' "$var/ceird.out" && break
		kill -0 "$pid" 2>/dev/null || { pid=; fail "ceird did not start"; }
		sleep 0.1
	done
	address=$(sed -n 's/^ready .*epp=\([^ ]*\).*/\1/p' "$var/ceird.out")
	[ -n "$address" ] || fail "ceird does not get ready"
	http_address=$(sed -n 's/^ready .*http=\([^ ]*\).*/\1/p' "$var/ceird.out")
	[ -n "$http_address" ] || fail "ceird serves no HTTP"
	ftps_address=$(sed -n 's/^ready .*ftps=\([^ ]*\).*/\1/p' "$var/ceird.out")
	[ -n "$ftps_address" ] || fail "ceird serves no FTPS"
	host=${address%:*}
	port=${address##*:}
	http_port=${http_address##*:}
	ftps_port=${ftps_address##*:}
	echo "ceird serves $dir: EPP over TLS on $address, HTTPS on $http_address, FTPS on $ftps_address, log in $var/ceird.log, process $pid"
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
	play 0 admin operator import "$country/operators.csv"
	play 0 admin account import "$var/accounts-offices.csv"
	play 0 nra portability import "$country/portability.csv"
	play 0 customs importer import "$country/importers.csv"
	play 0 admin account import "$var/accounts-importers.csv"
	play 0 nra tac import "$country/tacs.csv"
	play 0 nra certificate import "$country/certificates.csv"
	play 0 customs permit import "$country/permits.csv"
}

# What was in use when the register began stays: as the policy's second version, put in force before anything is delivered.
grant_amnesty() {
	chapter "The register begins: phones in use until the day before yesterday may stay"
	play 0 admin policy create --ground "Launch of the register" --amnestyFrom "$(days -60)" --amnestyUntil "$(days -2)"
	policy=$(field id)
	play 0 admin policy update "$policy" --status active
	await 20 "status: +active" admin policy info "$policy"
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

story_files() {
	local ftp=ftp://localhost:$ftps_port answers=out/application-spring.csv.answer.csv tries
	chapter "An importer's office that works with tables: a file up by FTPS, each row done as a command, the answer down"
	ctl admin account update importer --ftps yes >/dev/null
	(umask 077 && printf 'machine localhost login importer password %s\n' "$(cat "$dir/keys/importer.password")" >"$var/netrc")
	printf 'imei,permit,position\n%s,CT07-287/062,1\n%s,CT07-287/062,1\n' 352106050700037 352106050700046 >"$var/application-spring.csv"
	run cat "$var/application-spring.csv"
	run curl -sS --ssl-reqd --cacert "$dir/keys/ca.crt" --netrc-file "$var/netrc" -T "$var/application-spring.csv" "$ftp/in/"
	for ((tries = 0; tries < 100; tries++)); do
		[ ! -e "$dir/files/importer/ftp/$answers" ] || break
		sleep 0.1
	done
	run curl -sS --ssl-reqd --cacert "$dir/keys/ca.crt" --netrc-file "$var/netrc" "$ftp/$answers"
	expect "352106050700037,CT07-287/062,1,1000," "352106050700046,CT07-287/062,1,2306," svTRID
	rm -f "$var/netrc"
}

# ---- what networks see ---------------------------------------------------------------------------------------------------------

stolen=352106050544211
cloned=352106050544229
unregistered=353327050000017
modem=354056000000012
appears=353327050000025

changes() { # how far the change log is
	ctl operator list info grey | sed -n 's/^seq: *//p'
}

story_delivery() {
	local before
	today=$(date -u +%F)
	chapter "An operator delivers its day: whom it has seen with which phone"
	"$country/delivery.sh" "$today" >"$var/day.csv"
	run head -3 "$var/day.csv"
	play 1 operator deliver "$var/day.csv" --kind full --id "day-$today" --wait
	[ "$(field status) $(field lines) $(field taken) $(field new)" = "applied 3227 3220 3213" ] || fail "the delivery is not as expected"
	[ "$(field refused) $(field malformed) $(field suspicious)" = "7 5 0" ] || fail "the lines are not judged as expected"
	delivery=$(field id)
	chapter "What was refused, and what was taken though it is no IMEI, by line and reason"
	play 0 operator delivery rejects "$delivery"
	expect imei-malformed imsi-empty imei-exponent quote time-bad columns
	chapter "The same delivery again changes nothing"
	before=$(changes)
	play 1 operator deliver "$var/day.csv" --kind full --id "day-$today" --wait
	[ "$(field id) $(field new)" = "$delivery 3213" ] || fail "it was taken for another"
	[ "$(changes)" = "$before" ] || fail "it changed verdicts"
}

story_unregistered() {
	chapter "A phone that nobody registered, first seen yesterday: grey, and black on a date that does not move"
	play 0 nra verdict info $unregistered
	expect grey unregistered-seen "$(days 90)" not-registered
	play 0 nra verdict info $unregistered --lang uk
	expect "$(days 90)" "поки що можна користуватися"
}

story_clone() {
	chapter "Registered in the morning, and seven subscribers have it: a clone. Who used it longest keeps it, the others are told"
	play 0 nra verdict info $cloned
	expect grey clone "$(days 30)" registered
	play 0 operator list get exceptions
	expect "${cloned%?},255010000000099,380500990099"
	play 0 operator list get grey -o "$var/grey.csv"
	seq=$(field to)
	run grep "^${cloned%?}" "$var/grey.csv"
	[ "$(printf '%s\n' "$answer" | wc -l)" = 6 ] || fail "expected the six others on the grey list"
	chapter "A modem with 24 SIMs whose numbers stand in a row"
	play 0 admin verdict info $modem
	expect clone sim-box
}

story_police() {
	chapter "Who uses the stolen phone? Nobody looks at subscribers without the number of a case"
	play 1 lea triplet query --filter "imei = $stolen"
	expect 2003
	play 0 lea triplet query --filter "imei = $stolen" --filter "case = 12026100000001"
	expect 255010000000077 380500990077
	chapter "The question stands in the audit log: who looked for what, and why"
	answer=$(ctl admin transaction query --filter "object = triplet" --filter "account = lea" --filter "code = 1000")
	play 0 admin transaction info "$(printf '%s\n' "$answer" | tail -1 | cut -d ' ' -f 1)"
	expect "case 12026100000001, imei $stolen" lea
	play 1 tax triplet query --filter "imei = $stolen" --filter "case = 12026100000001"
	expect 2201
	chapter "The police wants to hear when a network sees it"
	play 0 lea watch create --imei $stolen --ground "case 12026100000001"
	watch=$(field id)
}

story_sighting() {
	local keys=$dir/keys
	chapter "Networks tell in real time: the stolen phone, and one that nobody has seen before"
	run curl -sS --cacert "$keys/ca.crt" --cert "$keys/operator.crt" --key "$keys/operator.key" \
		-H "Content-Type: application/json" -H "Client-Transaction-Id: MNO1-000001" --data \
		"[{\"imei\":\"$stolen\",\"imsi\":\"255010000000077\",\"msisdn\":\"380500990077\",\"event\":\"call\",\"cell\":\"255-01-512\"},
  {\"imei\":\"$appears\",\"imsi\":\"255010000000078\",\"msisdn\":\"380500990078\",\"event\":\"attach\"}]" \
		"https://$http_address/v1/sightings"
	chapter "Within a second or two the new phone is grey, and the police has a message"
	await 20 grey pos imei check $appears
	play 0 pos imei check $appears
	await 20 "$watch" lea poll
	play 0 lea poll
	expect "$stolen" "$watch"
}

story_lists() {
	chapter "Lists for the operator's own register: the stolen phone is on the black one"
	play 0 operator list get black
	expect "${stolen%?}" stolen
	chapter "What has changed in the operator's grey list since it took it"
	play 0 operator list get grey --since "$seq" -o "$var/grey-delta.csv" --json
	printf '%s\n' "$answer" >"$var/grey-delta.json"
	run cat "$var/grey-delta.csv"
	expect "added,${appears%?},255010000000078,380500990078,$(days 90)"
	chapter "Its signature, checked with OpenSSL; then the operator says that it has applied it"
	run docs/examples/check_list.sh "$dir/keys/audit-sign.pub" UA-MNO-1 "$var/grey-delta.csv" "$var/grey-delta.json"
	seq=$(sed 's/.*"to": *\([0-9]*\).*/\1/' "$var/grey-delta.json")
	play 0 operator list update grey --ackSeq "$seq"
	play 0 operator list info grey
	[ "$(field ackSeq) $(field lag)" = "$seq 0" ] || fail "the acknowledgement does not show"
	chapter "The same lists come by themselves into the operator's outbox, and a message says so"
	play 0 operator poll
	expect "is ready"
	run ls "$dir/outbox/UA-MNO-1"
	expect black-full grey-full exceptions-full .csv.zst.sig
}

# The conditions in force, but for the clone: from three subscribers on, not five.
stricter=(
	--condition "name=malformed,rule=malformed,graceDays=90,blocking=yes"
	--condition "name=tac-unknown,rule=tac-unknown-rbi,graceDays=90,blocking=yes"
	--condition "name=not-registered,rule=not-registered and not roamer,graceDays=90,blocking=yes"
	--condition "name=test-tac,rule=test-tac and not-registered,graceDays=90,blocking=yes"
	--condition "name=clone,rule=clone-threshold(imsis=3 days=30),graceDays=30,blocking=yes"
)

story_policy() {
	chapter "Would a clone from three subscribers on be a better rule? A draft is tried on the whole country before it holds"
	play 0 admin policy create --ground "Proposal of the fraud desk" "${stricter[@]}"
	policy=$(field id)
	await 20 imeis: admin policy info "$policy"
	printf '\n%s$ ceirctl --dir %s --user admin policy info %s%s\n...\n' "$bold" "$dir" "$policy" "$plain"
	printf '%s\n' "$answer" | sed -n '/^dryRun/,/toUnknown/p'
	[ "$(field '  toGrey') $(field '  toBlack')" = "40 0" ] || fail "the trial is not as expected"
	chapter "It would take forty families for clones: the draft goes away"
	play 0 admin policy delete "$policy"
}

story_audit() {
	chapter "Every command was a transaction, the refused ones too: the tax office's listing, as it stands in the audit log"
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
		EPP over TLS: $address    HTTPS: $http_address    FTPS: $ftps_address    data: $dir    log: $var/ceird.log

		Accounts: admin customs nra lea tax importer importer2 operator pos. In $dir/keys/ each has
		NAME.crt, NAME.key and NAME.password (pos needs no certificate). As any of them:

		  $ceirctl --dir $dir --port $port --user lea imei check 352106050544203 352106050544211
		  $ceirctl --dir $dir --port $port --user customs permit info CT07-287/062
		  $ceirctl --dir $dir --port $port --user importer epp < examples/epp-check-request.xml
		  $ceirctl --dir $dir --port $port --user nra verdict info $cloned --lang uk
		  $ceirctl --dir $dir --port $http_port --user operator list get grey --format xml

		Any EPP client will do: CA $dir/keys/ca.crt, host 127.0.0.1 or localhost.
	TEXT
}

# ---- all of it -----------------------------------------------------------------------------------------------------------------

mkdir -p "$var"
today=$(date -u +%F)
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
	grant_amnesty
	story_sample
	story_applications
	story_screen
	story_stolen
	story_refused
	story_messages
	story_files
	story_delivery
	story_unregistered
	story_clone
	story_police
	story_sighting
	story_lists
	story_policy
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

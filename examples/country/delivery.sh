#!/bin/sh
# A day's delivery of operator UA-MNO-1, CSV on standard output: its whole subscriber base as its network has seen it. The same day gives the
# same bytes.
#
#   delivery.sh YYYY-MM-DD    the day before which everything was seen
#
# 3,000 subscribers with a phone of the table of models each, and what makes such a file interesting:
#   7 registered phones       of the applications; 352106050544229 is used by its owner for seven weeks, and for three days by six others
#   1 stolen phone            352106050544211
#   1 phone nobody registered 353327050000017, first seen the day before
#   1 SIM box                 354056000000012, a modem with 24 SIMs whose numbers stand in a row
#   40 family phones          three SIMs each
#   50 roamers                subscribers of networks abroad
#   5 malformed IMEIs         taken and counted, for they were seen; 7 lines that cannot be taken
set -eu

[ $# = 1 ] || { echo "usage: delivery.sh YYYY-MM-DD" >&2; exit 2; }
country=$(dirname "$0")

# ago: 60 days, the day before first.
ago=$(i=1; while [ $i -le 60 ]; do date -u -d "$1 - $i days" +%F; i=$((i + 1)); done | tr '\n' ' ')

awk -F, -v ago="$ago" '
# Check digit of 14 digits, 3GPP TS 23.003 annex B.
function luhn(digits,    i, d, sum) {
	for (i = 1; i <= 14; i++) {
		d = substr(digits, i, 1) * (i % 2 ? 1 : 2)
		sum += d > 9 ? d - 9 : d
	}
	return (10 - sum % 10) % 10
}
function imei(tac, serial,    digits) {
	digits = tac sprintf("%06d", serial)
	return digits luhn(digits)
}
function clock(n) {
	return sprintf("T%02d:%02d:%02dZ", (n * 7) % 24, (n * 13) % 60, (n * 29) % 60)
}
# One line; days: how long ago.
function seen(phone, imsi, msisdn, days, n) {
	print phone "," imsi "," msisdn "," day[days] clock(n) "," event[n % 3] "," rat[n % 2] ",255-01-" 100 + n % 800
}
function odd(phone, imsi, msisdn) {
	print phone "," imsi "," msisdn "," day[1] ",,,"
}
function own(n) { return "25501" sprintf("%010d", n) }
function number(n) { return "38050" sprintf("%07d", n) }

FNR > 1 && $5 != "modem" && $5 != "tracker" { tac[n_tacs++] = $1 }

END {
	split(ago, day, " ")
	split("attach call data", names, " ")
	for (i = 0; i < 3; i++)
		event[i] = names[i + 1]
	rat[0] = "gsm"; rat[1] = "gsm"
	print "imei,imsi,msisdn,time,event,rat,cell"

	for (i = 0; i < 3000; i++)
		seen(imei(tac[i % n_tacs], 700000 + i), own(100000 + i), number(100000 + i), 3 + i % 27, i)
	for (i = 0; i < 40; i++)
		for (k = 0; k < 3; k++)
			seen(imei(tac[i % n_tacs], 800000 + i), own(200000 + 3 * i + k), number(200000 + 7 * i + 1000 * k), 3 + k, i)
	for (i = 0; i < 50; i++)
		seen(imei(tac[i % n_tacs], 900000 + i), "26002" sprintf("%010d", i), "48601" sprintf("%06d", 31 * i), 3 + i % 20, i)
	for (i = 0; i < 24; i++)
		seen("354056000000012", own(300000 + i), number(300000 + i), 1 + i % 2, i)

	split("352106050544203 352106050700011 358240051000016 358240051000024 358240051000032", registered, " ")
	for (i = 1; i <= 5; i++)
		seen(registered[i], own(i), number(i), 2, i)
	seen("352106050544211", own(77), number(990077), 1, 77)
	seen("353327050000017", own(88), number(990088), 1, 88)

	for (i = 50; i > 0; i -= 7)
		seen("352106050544229", own(99), number(990099), i, i)
	for (i = 1; i <= 6; i++)
		seen("352106050544229", own(500000 + i), number(500000 + 37 * i), 1 + i % 3, i)

	# As networks and people write them.
	odd("3521O6050544203", own(601), number(601))
	odd("000000000000000", own(602), number(602))
	odd("1234567", own(603), number(603))
	odd("35210605054420355", own(604), number(604))
	odd("unknown", own(605), number(605))
	odd("", own(606), number(606))
	odd("352106050544203", "", number(607))
	odd("352106050544203", "25501", number(608))
	odd("3.52106E+14", own(609), number(609))
	odd("352106050544203", own(610), "\"" number(610))
	print "352106050544203," own(611) "," number(611) ",2026-02-30,,,"
	print "352106050544203," own(612)
}' "$country/tacs.csv"

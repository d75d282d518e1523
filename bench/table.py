#!/usr/bin/python3
"""Prints the JSON lines of bench/run.sh as a table for people."""
import json
import sys

COLUMNS = "{:<24} {:>9} {:>9} {:<10} {:>8} {:>8} {:>9} {:>7} {:>7} {:>9} {:>8} {:>8}"


def what(line):
    params = line.get("params", {})
    words = [line["name"]]
    if line["name"] in ("check", "listing"):
        words.append("%dx%d" % (params["sessions"], params["depth"]))
        if params["names"] > 1:
            words.append("%d names" % params["names"])
        if "offered_rate" in params:
            words.append("at %d/s" % params["offered_rate"])
    return " ".join(words)


def load_row(line):
    params, latency = line["params"], line["latency_us"]
    span = max(line["seconds"], 0.001)
    devices = params.get("devices", params.get("first", 0) + params.get("rows", 0))
    print(COLUMNS.format(what(line), devices, "%.0f" % line["rate"], line["unit"] + "/s", latency["p50"], latency["p99"], latency["max"],
          "%.2f" % (line["server_cpu_s"] / span), "%.2f" % (line["generator_cpu_s"] / span),
          "%.2f" % line["server_cpu_us_per_operation"],
          "%.0f" % (line["server_rss_peak_bytes"] / 1e6), line["refused"]))
    if "upload_s" in params:
        print("  upload %.2f s, from submit to done %.2f s, in all %.2f s" % (params["upload_s"], line["seconds"],
              params["first_byte_to_done_s"]))


def main():
    print(COLUMNS.format("load", "devices", "rate", "", "p50 us", "p99 us", "max us", "server", "client", "us each", "MB peak", "refused"))
    for text in sys.stdin:
        line = json.loads(text)
        line.setdefault("name", line.get("bench"))
        if "latency_us" in line and "rate" in line and "server_cpu_s" in line:
            load_row(line)
        elif line["name"] == "start":
            print("start with %d devices: %.2f s, database %.3f GB, resident %.0f MB" % (line["params"]["devices"], line["seconds"],
                  line["database_bytes"] / 1e9, line["server_rss_bytes"] / 1e6))
        else:
            print(", ".join("%s %s" % item for item in line.items() if item[0] != "version"))
    print("server, client: cores used while measured; us each: processor time of the server for one operation")


main()

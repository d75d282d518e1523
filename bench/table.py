#!/usr/bin/python3
"""Prints the JSON lines of bench/run.sh as a table for people."""
import json
import sys

COLUMNS = "{:<24} {:>9} {:>9} {:<10} {:>8} {:>8} {:>9} {:>7} {:>7} {:>9} {:>8} {:>8}"


def what(line):
    params = line.get("params", {})
    words = [line["name"]]
    if line["name"] in ("stream", "engine-sight"):
        words.append("%dx%d %d%%" % (params.get("connections", params.get("callers")), params["batch"], params["known_percent"]))
        if "offered_rate" in params:
            words.append("at %d/s" % params["offered_rate"])
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
    devices = params.get("devices", params.get("triplets", params.get("first", 0) + params.get("rows", 0)))
    print(COLUMNS.format(what(line), devices, "%.0f" % line["rate"], line["unit"] + "/s", latency["p50"], latency["p99"], latency["max"],
          "%.2f" % (line["server_cpu_s"] / span), "%.2f" % (line["generator_cpu_s"] / span),
          "%.2f" % line["server_cpu_us_per_operation"],
          "%.0f" % (line["server_rss_peak_bytes"] / 1e6), line["refused"]))
    if "upload_s" in params:
        print("  upload %.2f s, from submit to done %.2f s, in all %.2f s" % (params["upload_s"], line["seconds"],
              params["first_byte_to_done_s"]))


def engine_load(line, params):
    span = max(line["seconds"], 0.001)
    return "delivery %d: %.2f M/s (take in %.1f s, stage %.1f s, apply %.1f s), %.2f cores, %.2f us each, %.0f MB peak" % (params["delivery"],
        line["rate"] / 1e6, params["add_s"], params["stage_s"], params["apply_s"], line["generator_cpu_s"] / span,
        line["generator_cpu_s"] / max(line["operations"], 1) * 1e6, line["generator_rss_peak_bytes"] / 1e6)


def engine_size(line, params):
    trees = ["%s %.1f in %d segments" % (name, params[name + "_tree_bytes"] / max(params[name + "_tree_rows"], 1), params[name + "_tree_segments"])
             for name in ("imei", "imsi", "msisdn")]
    return "%s: %.1f bytes a triplet (a row: %s), quiet after %.1f s and %.1f s of processor" % (params["when"], params["bytes_per_triplet"],
        ", ".join(trees), line["seconds"], line["generator_cpu_s"])


def engine_lookup(line, params):
    return "by %s, %s: %.0f/s, %.0f/s a core, p50 %.1f us, p99 %.1f us, %.2f rows each" % (params["by"], params["drawn"], line["rate"],
        params["rate_per_cpu_s"], params["p50_ns"] / 1e3, params["p99_ns"] / 1e3, params["rows_each"])


def engine_scan(line, params):
    return "%s, %d threads: %.1f M/s" % (params["tree"], params["threads"], line["rate"] / 1e6)


def deliver(line, params):
    span = max(line["seconds"], 0.001)
    return ("delivery %d: %.2f M lines/s to applied; from the first byte: sent %.1f s, durable %.1f s, applied %.1f s, classified %.1f s, lists %.1f s;"
            " from the last byte: applied %.1f s, classified %.1f s, lists %.1f s; server %.1f s of processor, own memory %.0f MB; client %.2f cores") % (
        params["delivery"], line["rate"] / 1e6, params["upload_s"], params["durable_s"], params["applied_s"], params["classified_s"], params["listed_s"],
        params["last_byte_to_applied_s"], params["last_byte_to_classified_s"], params["last_byte_to_listed_s"], line["server_cpu_s"],
        params["server_anonymous_peak_bytes"] / 1e6, line["generator_cpu_s"] / span)


def planted(line, params):
    return "%s: %d planted, recall %.3f, precision %.3f" % (params["condition"], params["planted"], params["recall"],
        params.get("precision", params.get("precision_of_sample", 0)))


def table(line, params):
    own = "%.2f s of processor, %.0f MB" % (line["cpu_s"], line["rss_peak_bytes"] / 1e6)
    if line["child_cpu_s"] or line["child_rss_peak_bytes"]:
        own += "; ceir-table %.2f s, %.0f MB" % (line["child_cpu_s"], line["child_rss_peak_bytes"] / 1e6)
    rate = "%.0f MB/s" % line["mb_s"] if line["unit"] == "bytes" else "%.0f rows/s" % line["rate"]
    return "%s, %s: %s; %.1f MB; %s" % (params["file"], params["how"], rate, line["bytes"] / 1e6, own)


def drop(line, params):
    return "put in %.2f s (%.1f MB/s), from then to the answer %.2f s, from taken %.2f s; server %.2f s of processor" % (params["put_s"], params["put_mb_s"],
        line["seconds"], params["taken_to_answer_s"], line["server_cpu_s"])


def ftps_sessions(line, params):
    return "%.1f sessions/s, a file each, %d times; p50 and p99 ms: login %.0f %.0f, upload %.0f %.0f, answer %.0f %.0f; %d logins again" % (
        line["rate"], params["rounds"], params["login_p50_ms"], params["login_p99_ms"], params["upload_p50_ms"], params["upload_p99_ms"],
        params["answer_p50_ms"], params["answer_p99_ms"], params["logins_again"])


def out(line, params):
    how = ", ".join("%s %s" % item for item in params.items())
    return "%s: %.2f s, %.0f rows/s, %.1f MB; cat and fsync of it %.2f s: %.2f times that" % (how, line["seconds"], line["rate"], line["bytes"] / 1e6,
        line["copy_s"], line["times_copy"])


def amount(params):
    return params.get("triplets", params.get("rows", params.get("sessions")))


SENTENCES = {"table-read": table, "table-write": table, "table-limit": table, "table-unpack": table, "drop-folder": drop, "drop-ftps": drop,
             "ftps-sessions": ftps_sessions, "white-list": out, "export": out, "engine-load": engine_load, "engine-size": engine_size, "engine-lookup": engine_lookup, "engine-scan": engine_scan, "deliver": deliver,
             "planted": planted}


def main():
    print(COLUMNS.format("load", "devices", "rate", "", "p50 us", "p99 us", "max us", "server", "client", "us each", "MB peak", "refused"))
    for text in sys.stdin:
        line = json.loads(text)
        line.setdefault("name", line.get("bench"))
        if line["name"] in SENTENCES:
            print("%s %d: %s" % (line["name"], amount(line["params"]) or line["operations"], SENTENCES[line["name"]](line, line["params"])))
        elif "latency_us" in line and "rate" in line and "server_cpu_s" in line:
            load_row(line)
        elif line["name"] == "start":
            print("start with %d devices: %.2f s, database %.3f GB, resident %.0f MB" % (line["params"]["devices"], line["seconds"],
                  line["database_bytes"] / 1e9, line["server_rss_bytes"] / 1e6))
        else:
            print(", ".join("%s %s" % item for item in line.items() if item[0] != "version"))
    print("server, client: cores used while measured; us each: processor time of the server for one operation")


main()

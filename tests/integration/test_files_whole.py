#!/usr/bin/python3
"""Files that are the whole list: what they no longer name is ended, each once, and never by mistake (docs/files.md)."""
import os
import time

from harness import TIMEOUT, Test, World, eventually, imei, less, main, sqlite
from test_files import Folder


class Whole(Test):
    @classmethod
    def setUpClass(cls):
        cls.world = World(options=["files.still_s=0"])
        cls.world.account("lea3", role="lea")

    @classmethod
    def tearDownClass(cls):
        cls.world.close()

    def of(self, account):
        return Folder(self.world.server, account)

    def codes(self, rows):
        return [int(r["code"]) for r in rows]

    def present(self, account, type):
        return {i for i, in sqlite(self.world.server, "SELECT coalesce(imei, tac) FROM listing WHERE status <> 'ended' AND cr_id = '%s' AND ground LIKE '%s%% row %%'" % (account, type))}

    def test_1_whole_lists(self):
        """What a whole list no longer names is ended, once; not when that would be too much, or nobody knows who is meant."""
        lea = self.of("lea3")
        numbers = [imei("35148820", 500000 + i) for i in range(30)]
        keys = [int(n[:14]) for n in numbers]
        lea.put("stolen_list-a.csv", "imei,reporting_date\n" + "".join("%s,20261101\n" % n for n in numbers[:10]))
        nra = self.of("nra1")
        nra.put("barred_tac_list-1.csv", "TAC\n35148821\n35148822\n")
        lea.put("barred_list-1.csv", "imei\n%s\n" % numbers[27])
        lea.put("monitoring_list-1.csv", "imei\n%s\n%s\n" % tuple(numbers[28:]))
        self.assertEqual(self.codes(lea.answer("stolen_list-a.csv")), [1000] * 10)
        for folder, name, n in ((nra, "barred_tac_list-1.csv", 2), (lea, "barred_list-1.csv", 1), (lea, "monitoring_list-1.csv", 2)):
            self.assertEqual(self.codes(folder.answer(name)), [1000] * n)
        lea.put("barred_tac_list-full-2.csv", "TAC\n35148822\n")
        nra.put("barred_tac_list-full-2.csv", "TAC\n35148822\n")
        lea.put("monitoring_list-full-2.csv", "imei\n%s\n" % numbers[29])
        lea.put("stolen_list-full-b.csv", "imei,status\n" + "".join("%s,\n" % n for n in numbers[10:20]))
        # Nothing of the first file is named: the rows are done, but nothing is ended.
        rows = lea.answer("stolen_list-full-b.csv")
        self.assertEqual(self.codes(rows), [1000] * 10 + [2306])
        self.assertIn("10 of 10", rows[-1]["message"])
        self.assertEqual(self.present("lea3", "stolen_list"), set(keys[:20]))
        # By hand, by another account, of another type: not the list's.
        mine = self.world.ok(self.world.session("lea3").create("listing", {"imei": numbers[25], "colour": "black", "reason": "stolen", "ground": "case 7"})).fields()["id"]
        self.of("lea1").put("stolen_list-other.csv", "imei\n%s\n" % numbers[26])
        self.assertEqual(self.codes(self.of("lea1").answer("stolen_list-other.csv")), [1000])
        # Two of twenty go, one comes, one is no longer certain; the others are as they were.
        text = "imei,reporting_date,status,case\n" + "".join("%s,%s,%s,K-%d\n" % (n, "20261101" if i < 9 else "", "pending" if i == 12 else "", i)
                                                           for i, n in enumerate(numbers[:21]) if i not in (9, 19))
        lea.put("stolen_list-full-c.csv", text)
        rows = lea.answer("stolen_list-full-c.csv")
        self.assertEqual(self.codes(rows), [1000] * 21)
        ended = rows[19:]
        self.assertEqual(sorted(r["imei"] for r in ended), sorted([numbers[9], numbers[19]]))
        self.assertEqual({(r["case"], r["message"]) for r in ended}, {("", "Ended: the whole list no longer names it")})
        for r in ended:
            t = self.world.session("lea3").info("transaction", r["svTRID"]).fields()
            self.assertEqual((t["verb"], t["object"], t["code"]), ("delete", "listing", "1000"))
        same = [r for r in rows[:19] if not r["svTRID"]]
        self.assertEqual({r["message"] for r in same}, {"It is listed already, and stays so"})
        self.assertEqual([r["case"] for r in rows[:19] if r["svTRID"]], ["K-12", "K-20"])
        self.assertEqual(self.present("lea3", "stolen_list"), set(keys[:9] + keys[10:19] + [keys[20]]))
        self.assertEqual(self.world.session("lea3").colour(numbers[12]), ("grey", "listed-grey"))
        self.assertEqual(self.world.session("lea3").colour(numbers[9])[0], "unknown")
        self.assertFalse(lea.has_rejects("stolen_list-full-c.csv"))
        self.assertEqual(self.world.session("lea3").info("listing", mine).fields()["status"], "inForce")
        self.assertEqual(self.world.session("lea1").colour(numbers[26]), ("black", "stolen"))
        # Whoever cannot be read may be anybody. A list that is a delta is none, nor one that nobody can compare.
        lea.put("stolen_list-full-d.csv", "imei\n" + "".join(n + "\n" for n in numbers[:8]) + numbers[8][:14] + str(9 - int(numbers[8][14])) + "x\n")
        lea.put("stolen_list-full-e.csv", "imei,change_type\n%s,add\n" % numbers[0])
        lea.put("pairing_list-full-f.csv", "imei,imsi,msisdn\n%s,255010000000001,\n" % numbers[0])
        rows = lea.answer("stolen_list-full-d.csv")
        self.assertEqual(self.codes(rows)[8:], [2005, 2005])
        self.assertIn("row 9", rows[-1]["message"])
        for name in ("stolen_list-full-e.csv", "pairing_list-full-f.csv"):
            self.assertEqual(self.codes(lea.answer(name)), [2001])
        self.assertEqual(len(self.present("lea3", "stolen_list")), 19)
        # It is meant.
        lea.put("stolen_list-full-force.csv", "imei\n")
        rows = lea.answer("stolen_list-full-force.csv")
        self.assertEqual((self.codes(rows), len({r["svTRID"] for r in rows})), ([1000] * 19, 19))
        self.assertEqual(self.present("lea3", "stolen_list"), set())
        # TACs, and watches.
        rows = nra.answer("barred_tac_list-full-2.csv")
        self.assertEqual(([r["TAC"] for r in rows], self.codes(rows)), (["35148822", "35148821"], [1000, 1000]))
        self.assertEqual(self.present("nra1", "barred_tac_list"), {35148822})
        self.assertEqual(self.codes(lea.answer("barred_tac_list-full-2.csv")), [2201])
        self.assertEqual(self.present("lea3", "barred_list"), {keys[27]})
        rows = lea.answer("monitoring_list-full-2.csv")
        self.assertEqual([(r["imei"], r["code"], r["svTRID"] != "") for r in rows], [(numbers[29], "1000", False), (numbers[28], "1000", True)])

    def test_2_killed(self):
        """kill -9 while a whole list is done: what was decided to be ended is ended, each once, and what is new is made once."""
        n = less(800, 400)
        lea = self.of("lea3")
        numbers = [imei("35148820", 600000 + i) for i in range(2 * n)]
        lea.put("stolen_list-k.csv", "imei\n" + "".join(m + "\n" for m in numbers[:n]))
        self.assertEqual(set(self.codes(lea.answer("stolen_list-k.csv"))), {1000})
        # Every second one goes, and as many are new.
        lea.put("stolen_list-full-force-k.csv", "imei\n" + "".join(m + "\n" for m in numbers[:n:2] + numbers[n:n + n // 2]))
        marks = [n // 10, n // 2 + n // 20, n + n // 10] # rows that stay, rows that are new, rows that are ended

        def journal():
            return sum(sum(1 for _ in open(e.path, "rb")) for e in os.scandir(lea.queue) if e.name.endswith(".journal"))

        killed = 0
        for mark in marks:
            deadline = time.monotonic() + TIMEOUT
            while journal() < mark and not os.path.exists(lea.out("stolen_list-full-force-k.csv.answer.csv")):
                assert time.monotonic() < deadline
            killed += os.path.exists(lea.queue) and bool(os.listdir(lea.queue))
            self.world.forget()
            self.world.server.kill()
            self.world.server.start()
        rows = lea.answer("stolen_list-full-force-k.csv")
        self.assertGreater(killed, 0)
        self.assertEqual((set(self.codes(rows)), len(rows)), ({1000}, n + n // 2))
        self.assertEqual([r["imei"] for r in rows[n:]], numbers[1:n:2])
        self.assertEqual(self.present("lea3", "stolen_list"), {int(m[:14]) for m in numbers[:n:2] + numbers[n:n + n // 2]})
        listed = sqlite(self.world.server, "SELECT count(*), count(DISTINCT imei) FROM listing WHERE status <> 'ended' AND cr_id = 'lea3' AND ground LIKE 'stolen_list-%'")
        self.assertEqual(listed, [(n, n)])
        trids = [r["svTRID"] for r in rows if r["svTRID"]]
        self.assertEqual((len(trids), len(set(trids))), (n, n))
        verbs = sqlite(self.world.server, "SELECT verb, count(*) FROM audit WHERE object = 'listing' AND account = 'lea3' AND code = 1000 AND verb IN ('create', 'delete') AND cltrid LIKE "
                       "(SELECT substr(cltrid, 1, 34) FROM audit WHERE object = 'listing' AND verb = 'delete' ORDER BY seq DESC LIMIT 1) || '%' GROUP BY verb ORDER BY verb")
        self.assertEqual(verbs, [("create", n // 2), ("delete", n // 2)])
        eventually(lambda: os.listdir(lea.queue), [])


if __name__ == "__main__":
    main()

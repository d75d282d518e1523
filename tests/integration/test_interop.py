#!/usr/bin/python3
"""Interoperability with Net::EPP, a client that nobody here wrote (interop_net_epp.pl)."""
import os
import subprocess
import unittest

from harness import HERE, PASSWORD, PERMIT, ROOT, SCREEN_IMEI, TIMEOUT, Test, World, main


class NetEpp(Test):
    @classmethod
    def setUpClass(cls):
        if subprocess.run(["perl", "-MNet::EPP", "-e1"], capture_output=True).returncode != 0:
            raise unittest.SkipTest("Net::EPP is not installed (Debian: libnet-epp-perl)")
        cls.world = World()

    @classmethod
    def tearDownClass(cls):
        cls.world.close()

    def test_client_and_simple(self):
        w = self.world
        w.ok(w.session("importer1").submit([SCREEN_IMEI], PERMIT, 1)[0], 1000, 1001)
        w.session("importer1").logout()
        key = w.server.key("importer1")
        p = subprocess.run(["/usr/bin/perl", os.path.join(HERE, "interop_net_epp.pl"), w.server.host, str(w.server.port),
                            w.server.ca,
                            key + ".crt", key + ".key", "importer1", PASSWORD, os.path.join(ROOT,
                                                                                            "examples/epp-check-request.xml")],
                           capture_output=True, text=True, timeout=4 * TIMEOUT, env=dict(os.environ, PERL_UNICODE=""))
        self.assertEqual(p.returncode, 0, p.stdout + p.stderr)
        self.assertGreater(p.stdout.count("\nok "), 25)


if __name__ == "__main__":
    main()

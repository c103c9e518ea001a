"""Each refusal gets its clear answer, or the one deliberate common answer, and a line in the broker's log."""

import os
import re
import secrets
import socket
import ssl
import subprocess

from end_to_end import EndToEndTest, main

SIGN_IN_FAILED = 3
REFUSED = 2
TICKET_LIFETIME_S = 5
EXPLAIN_ID = re.compile(r"\br-[0-9a-f]+")


class RefusalsTest(EndToEndTest):
    pools = {"kantoor": {"max_desktops": 1, "min_desktops": 1, "running_spares": 1, "queue_deadline_s": 3},
             "loket": {"max_desktops": 2, "min_desktops": 1, "running_spares": 1},
             "directie": {"max_desktops": 1, "group": None}}
    broker_times = {"ticket_lifetime": f"{TICKET_LIFETIME_S}s"}

    def assert_logged(self, user, detail):
        pattern = re.compile(rf"event=sign-in\S*.*{re.escape(user)}.*{detail}")
        self.wait(lambda: any(pattern.search(line) for line in self.broker_log().split("\n")), 10,
                  f"a log line for {user} with {detail}")

    def explain(self, said):
        """What the help desk sees of a refusal."""
        number = EXPLAIN_ID.search(said)
        self.assertTrue(number, said)
        return self.lab.ctl("explain", number.group(0))

    def test_sign_ins_have_one_common_answer(self):
        person, other, untokened = *self.take(2), self.unused.pop()
        answers = {}
        code = other.authenticator.code
        answers["wrong password"] = self.refused(self.sign_in, person, password="fout", status=SIGN_IN_FAILED)
        answers["wrong code"] = self.refused(self.sign_in, person, code="000000", status=SIGN_IN_FAILED)
        answers["late code"] = self.refused(self.sign_in, person, code=person.authenticator.old_code(),
                                            status=SIGN_IN_FAILED)
        self.sign_in(other, code=code())
        answers["replayed code"] = self.refused(self.sign_in, other, code=other.authenticator.last_code(),
                                                status=SIGN_IN_FAILED)
        answers["unknown user"] = self.refused(
            self.lab.werkplek, "tc-001", "sign-in", "--user", "niemand", given="iets\n123456\n",
            token_folder=person.folder, status=SIGN_IN_FAILED)
        answers["no token"] = self.refused(
            self.lab.werkplek, "tc-001", "sign-in", "--user", untokened.user,
            given=f"{untokened.password}\n123456\n", token_folder=person.folder, status=SIGN_IN_FAILED)
        self.assertEqual(len(set(answers.values())), 1, answers)
        self.assert_logged(person.user, "password")
        self.assert_logged(person.user, "code")
        self.assert_logged("niemand", "unknown")
        for secret in (person.password, other.password, other.authenticator.last_code()):
            self.assertNotIn(secret, self.broker_log())

    def test_odd_passwords_never_sign_in(self):
        person, = self.take()
        for password in ("", " ", "x" * 5000):
            self.refused(self.sign_in, person, password=password)

    def test_no_entitlement(self):
        person, = self.take()
        self.sign_in(person)
        said = self.refused(self.werkplek, person, "connect", "directie", "--no-viewer", "--vnc", status=REFUSED)
        missing = self.refused(self.werkplek, person, "connect", "bestaatniet", "--no-viewer", "--vnc", status=REFUSED)
        self.assertEqual(EXPLAIN_ID.sub("ID", said.replace("directie", "POOL")),
                         EXPLAIN_ID.sub("ID", missing.replace("bestaatniet", "POOL")),
                         "a pool that may not be used and one that is not there must look alike")

    def test_full_pool_and_drained_host(self):
        first, second = self.take(2)
        self.sign_in(first)
        self.sign_in(second)
        self.lab.wait_spares("kantoor", 1)
        self.werkplek(first, "connect", "kantoor", "--screenshot", f"{first.folder}/screen.png")
        said = self.refused(self.werkplek, second, "connect", "kantoor", "--screenshot", f"{second.folder}/x.png",
                            status=REFUSED)
        self.assertIn("at most 1", self.explain(said))
        self.werkplek(first, "end", "kantoor", "--yes")
        for host in ("hv-n1", "hv-z1"):
            self.lab.ctl("host", "drain", host)
        try:
            said = self.refused(self.werkplek, second, "connect", "kantoor", "--screenshot", f"{second.folder}/x.png",
                                status=REFUSED)
            explained = self.explain(said)
            for host in ("hv-n1", "hv-z1"):
                self.assertRegex(explained, rf"{host}.*drain")
        finally:
            for host in ("hv-n1", "hv-z1"):
                self.lab.ctl("host", "open", host)

    def relay_answer(self, ticket, certificate="tc-001", desktop="kantoor-00000000", host="hv-n1", keep=None):
        """What the relay of `host` says to a CONNECT; `certificate` None sends none. `keep`, a list, takes the
        connection, which is closed otherwise."""
        context = ssl.create_default_context(cafile=self.lab.path("ca.pem"))
        context.check_hostname = False
        if certificate:
            context.load_cert_chain(self.lab.path(certificate, "certificate.pem"), self.lab.path(certificate, "key.pem"))
        with socket.create_connection(("127.0.0.1", self.lab.ports[host]), timeout=10) as plain:
            tls = context.wrap_socket(plain)
            try:
                viewer = secrets.token_hex(8)
                tls.sendall(f"CONNECT {desktop} HTTP/1.1\r\nHost: {desktop}\r\nAuthorization: Ticket {ticket}\r\n"
                            f"Werkplek-Channel: vnc\r\nWerkplek-Viewer: {viewer}\r\n\r\n".encode())
                answer = b""
                while b"\r\n\r\n" not in answer:
                    got = tls.recv(4096)
                    if not got:
                        break
                    answer += got
                return answer.decode(errors="replace")
            finally:
                if keep is None:
                    tls.close()
                else:
                    keep.append(tls)

    def assert_relay_refused(self, host, desktop, reason, times=1):
        """The agent's log says who was refused what, and why; never the ticket."""
        pattern = re.compile(rf'event=relay-refused\b.*reason="[^"]*{reason}.*desktop={desktop}\b.*tc-001')
        self.wait(lambda: sum(1 for line in self.log_of(host).split("\n") if pattern.search(line)) == times, 10,
                  f"{times} lines of {host}'s agent about a ticket that {reason}")

    def test_a_ticket_opens_once(self):
        person, = self.take()
        self.sign_in(person)
        self.lab.wait_spares("loket", 1)
        given = self.take_ticket(person, "loket")
        there = {"desktop": given["desktop"], "host": given["host"]}
        # Held by another machine it opens nothing, and is not spent by that.
        self.assertRegex(self.relay_answer(given["ticket"], "tc-002", **there),
                         r"(?s)^HTTP/1\.1 403 .*the ticket was given to another machine")
        held = []
        try:
            self.assertRegex(self.relay_answer(given["ticket"], keep=held, **there), r"^HTTP/1\.1 200 ")
            self.wait(lambda: self.session_of(person)["state"] == "SESSION_STATE_ACTIVE", 10, "the open display")
            # A second viewer while the first one looks ...
            self.assertRegex(self.relay_answer(given["ticket"], **there),
                             r"(?s)^HTTP/1\.1 403 .*the ticket was used already")
        finally:
            for connection in held:
                connection.close()
        self.wait(lambda: self.session_of(person)["state"] == "SESSION_STATE_DISCONNECTED", 10, "the closed display")
        # ... and one after it.
        self.assertRegex(self.relay_answer(given["ticket"], **there),
                         r"(?s)^HTTP/1\.1 403 .*the ticket was used already")
        self.assert_relay_refused(there["host"], there["desktop"], "was used already", times=2)
        self.assertNotIn(given["ticket"], self.log_of(there["host"]) + self.broker_log())
        self.werkplek(person, "end", "loket", "--yes")

    def test_a_ticket_comes_too_late(self):
        person, = self.take()
        self.sign_in(person)
        self.lab.wait_spares("loket", 1)
        given = self.take_ticket(person, "loket")
        there = {"desktop": given["desktop"], "host": given["host"]}
        self.assertEqual(given["ticket_lifetime_s"], TICKET_LIFETIME_S)
        # The session is "ready" for as long as its ticket may still come.
        self.wait(lambda: self.session_of(person)["state"] == "SESSION_STATE_DISCONNECTED", 30, "the ticket's end")
        self.assertRegex(self.relay_answer(given["ticket"], **there),
                         r"(?s)^HTTP/1\.1 403 .*the ticket came too late")
        self.assert_relay_refused(there["host"], there["desktop"], "came too late")
        # The desktop is still this person's: the next connect brings a ticket that opens.
        again = self.take_ticket(person, "loket")
        self.assertEqual((again["session"], again["desktop"]), (given["session"], given["desktop"]))
        self.assertNotEqual(again["ticket"], given["ticket"])
        self.assertRegex(self.relay_answer(again["ticket"], **there), r"^HTTP/1\.1 200 ")
        self.werkplek(person, "end", "loket", "--yes")

    def test_the_relay_refuses_what_it_was_not_told_of(self):
        self.assertRegex(self.relay_answer("x" * 43), r"^HTTP/1\.1 40[34]")

    def test_the_relay_takes_no_peer_without_a_certificate(self):
        # The same request gets an HTTP answer with a certificate (above), and none without.
        try:
            answer = self.relay_answer("x" * 43, certificate=None)
        except (ssl.SSLError, ConnectionResetError):
            answer = ""
        self.assertEqual(answer, "")

    def test_certificates_of_others_are_refused(self):
        person, = self.take()
        # A host's certificate on a thin client.
        self.lab.write("as-host.yaml", self.lab.client_config("hv-n1"))
        said = self.refused(self.lab.werkplek, "as-host", "sign-in", "--user", person.user,
                            given=f"{person.password}\n{person.authenticator.code()}\n", token_folder=person.folder)
        self.assertRegex(said.lower(), "not allowed|may not|permission|certificate")
        # A certificate of another authority.
        os.makedirs(self.lab.path("stranger"), exist_ok=True)
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                        "-keyout", self.lab.path("stranger", "key.pem"), "-out",
                        self.lab.path("stranger", "certificate.pem"), "-days", "2", "-subj", "/CN=tc-001", "-addext",
                        "subjectAltName=URI:werkplek://client/tc-001"], check=True, capture_output=True)
        os.chmod(self.lab.path("stranger", "key.pem"), 0o600)
        text = self.lab.client_config("stranger").replace(self.lab.path("stranger", "ca.pem"), self.lab.path("ca.pem"))
        self.lab.write("stranger.yaml", text)
        self.refused(self.lab.werkplek, "stranger", "sign-in", "--user", person.user,
                     given=f"{person.password}\n{person.authenticator.code()}\n", token_folder=person.folder)

    def test_a_stolen_access_token_is_worth_nothing_on_another_client(self):
        person, = self.take()
        self.sign_in(person, "tc-001")
        self.refused(self.werkplek, person, "list", client="tc-002", status=SIGN_IN_FAILED)

    def test_signing_out_kills_the_access_token(self):
        person, = self.take()
        self.sign_in(person)
        kept = os.path.join(person.folder, "kept")
        subprocess.run(["cp", "-a", os.path.join(person.folder, "werkplek"), kept], check=True)
        self.werkplek(person, "sign-out")
        subprocess.run(["rm", "-rf", os.path.join(person.folder, "werkplek")], check=True)
        os.rename(kept, os.path.join(person.folder, "werkplek"))
        self.refused(self.werkplek, person, "list", status=SIGN_IN_FAILED)


if __name__ == "__main__":
    main()

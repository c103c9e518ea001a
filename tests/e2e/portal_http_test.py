"""The portal's port as a program that is no browser sees it: whom it answers, how, and what it never gives away."""

import glob
import os
import re
import ssl
import warnings

from end_to_end import main
from portal_client import BINARY, COOKIE, PortalClient, TEXT
from with_gateways import GatewaysTest

PAGES = {"/": "text/html", "/portal.js": "text/javascript", "/portal.css": "text/css", "/texts.js": "text/javascript",
         "/favicon.svg": "image/svg+xml", "/novnc/core/rfb.js": "text/javascript"}
POLICY = ("default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
          "form-action 'none'; frame-ancestors 'none'; base-uri 'none'")
TERMS = "; Path=/; Secure; HttpOnly; SameSite=Strict"


class PortalHttpTest(GatewaysTest):
    pools = {"kantoor": {"min_desktops": 1, "max_desktops": 4, "running_spares": 1, "suspend_after_s": 3600}}
    portal = True

    def setUp(self):
        super().setUp()
        self.clients = {site: PortalClient(address, self.portal_port, self.authority.path("ca.pem"))
                        for site, address in self.addresses.items()}
        self.client, self.other = self.clients.values()

    def sign_ins(self, person):
        return self.lab.ctl_json("sign-in", "list", "--user", person.user).get("sign_ins", [])

    def opened_display(self, client):
        """A display whose desktop has begun to speak."""
        display = client.upgrade("/display/kantoor")
        self.addCleanup(display.close)
        told = display.stages()
        self.assertEqual(told[-1]["stage"], "ready", told)
        self.assertEqual(display.receive(), (BINARY, b"RFB 003.008\n"))
        return display, told[-1]

    # -- pages ------------------------------------------------------------------------------------

    def test_pages_carry_the_headers_that_keep_others_out(self):
        for client in self.clients.values():
            for path, kind in PAGES.items():
                answer = client.request("GET", path)
                self.assertEqual(answer.status, 200, path)
                self.assertEqual(answer.header("Content-Type").partition(";")[0], kind, path)
                self.assertEqual(answer.header("Cache-Control"), "no-cache", path)
                self.assert_guarded(answer)
                self.assertIsNone(answer.header("Set-Cookie"), path)

    def assert_guarded(self, answer):
        self.assertEqual(answer.header("Content-Security-Policy"), POLICY)
        self.assertRegex(answer.header("Strict-Transport-Security"), r"^max-age=\d{7,}")
        self.assertEqual(answer.header("X-Content-Type-Options"), "nosniff")
        self.assertEqual(answer.header("Referrer-Policy"), "no-referrer")
        self.assertEqual(answer.header("Cross-Origin-Opener-Policy"), "same-origin")

    def test_the_first_page_holds_no_script_and_no_style_of_its_own(self):
        page = self.client.request("GET", "/").body.decode()
        self.assertNotRegex(page, r"<script(?![^>]*\bsrc=)")
        self.assertNotRegex(page, r"(?i)<style|\sstyle=|\son[a-z]+=|javascript:")
        self.assertNotRegex(page, r"(?i)(src|href)=[\"']?(https?:)?//")

    def test_nothing_else_is_there(self):
        for path in ["/nothing", "/index.html/..", "/../portal.js", "/%2e%2e/portal.key", "/novnc/core/../core/rfb.js", "/novnc/",
                     "/novnc/vnc.html", "/novnc/app/ui.js", "/novnc/../../etc/passwd", "/api/nothing", "/display/kantoor", "//",
                     "/portal.js?v=1/../../etc/passwd"]:
            answer = self.client.request("GET", path)
            self.assertEqual(answer.status, 404, path)
            self.assert_guarded(answer)
        for method in ("POST", "PUT", "DELETE", "OPTIONS"):
            self.assertIn(self.client.request(method, "/").status, (403, 405), method)

    # -- who may call -----------------------------------------------------------------------------

    def foreign_origins(self):
        return [None, "null", "https://evil.test", self.origin + ".evil.test", self.origin.replace("https", "http"),
                self.origin.rpartition(":")[0] + ":444", self.origin.rpartition(":")[0], self.origin + "/", self.origin.upper(),
                self.origin + " https://evil.test"]

    def test_only_pages_of_the_portal_may_call_or_open_displays(self):
        person, = self.take()
        self.client.sign_in(person)
        good = self.client.headers_of_page()
        for name in ("sign-in", "disconnect", "end", "sign-out"):
            for origin in self.foreign_origins():
                headers = {key: value for key, value in {**good, "Origin": origin}.items() if value is not None}
                answer = self.client.request("POST", f"/api/{name}", "{}", headers)
                self.assertEqual(answer.error, (403, "forbidden"), (name, origin))
            for value in (None, "", "0", "1, 1"):
                headers = {key: given for key, given in {**good, "X-Werkplek": value}.items() if given is not None}
                self.assertEqual(self.client.request("POST", f"/api/{name}", "{}", headers).error, (403, "forbidden"), (name, value))
            for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"):
                answer = self.client.request("POST", f"/api/{name}", "{}", {**good, "Content-Type": kind})
                self.assertIn(answer.status, (400, 403), (name, kind))
        for origin in self.foreign_origins():
            answer = self.client.upgrade("/display/kantoor", {"Origin": origin})
            self.assertEqual(answer.error, (403, "forbidden"), origin)
        self.assertEqual(len(self.sign_ins(person)), 1, "a call of a foreign page was obeyed")
        self.assertEqual(self.sessions(user=person.user), [])

    def test_nothing_is_given_without_a_sign_in(self):
        for cookie in (None, "", "x", "A" * 43, "A" * 5000):
            self.client.cookie = cookie
            self.assertEqual(self.client.pools().error, (401, "sign-in-first"), cookie)
            for name in ("disconnect", "end"):
                self.assertEqual(self.client.call(name, session="s-1").error, (401, "sign-in-first"), (name, cookie))
        # Who is signed out already may be told so once more: the answer may have been lost. The browser forgets the rest.
        self.client.cookie = "A" * 43
        self.assert_signed_out(self.client.call("sign-out"))
        for cookie in (None, ""):
            self.client.cookie = cookie
            self.assertEqual(self.client.call("sign-out").error, (401, "sign-in-first"), cookie)
            self.assertEqual(self.client.upgrade("/display/kantoor").error, (401, "sign-in-first"), cookie)
        # Whether a token is good is the broker's to say, when the socket is open.
        self.client.cookie = "A" * 43
        with self.client.upgrade("/display/kantoor") as display:
            last = display.stages()[-1]
            self.assertEqual((last["stage"], last["error"]), ("failed", "sign-in-first"))
            self.assertEqual(display.wait_close(), 1000)

    def test_what_is_not_a_call_is_refused(self):
        person, = self.take()
        self.client.sign_in(person)
        headers = self.client.headers_of_page()
        for body in ("", "[]", "{", '{"request_id": 1}', '{"request_id": "x", "session": ["s"]}', "\x00" * 10, "[" * 4000):
            answer = self.client.request("POST", "/api/end", body, headers)
            self.assertEqual(answer.error, (400, "bad-request"), body[:20])
        self.assertEqual(self.client.call("end", session="no-such-session").status, 404)
        large = self.client.request("POST", "/api/end", '{"request_id": "' + "0" * 9000 + '"}', headers)
        self.assertIn(large.status, (400, 413))
        self.assertIn(self.status_or_closed("GET", "/", {"X-Large": "0" * 20000}), (431, "closed"))
        self.assertIn(self.status_or_closed("GET", "/" + "a" * 20000, {}), (414, 431, "closed"))
        # It serves on.
        self.assertEqual(self.client.pools().status, 200)

    def status_or_closed(self, method, path, headers):
        try:
            return self.client.request(method, path, headers=headers).status
        except (ConnectionError, ssl.SSLError):
            return "closed"

    def test_get_changes_nothing(self):
        person, = self.take()
        self.client.sign_in(person)
        self.lab.wait_spares("kantoor", 1)
        display, ready = self.opened_display(self.client)
        headers = {**self.client.headers_of_page(), "X-HTTP-Method-Override": "POST"}
        for name in ("sign-out", "disconnect", "end", "sign-in"):
            for path in (f"/api/{name}", f"/api/{name}?session={ready['session']}&request_id={'0' * 32}"):
                answer = self.client.request("GET", path, None, headers)
                self.assertIn(answer.status, (404, 405), path)
                self.assertIsNone(answer.header("Set-Cookie"))
        self.assertEqual(self.session_of(person)["id"], ready["session"])
        self.assertEqual(len(self.sign_ins(person)), 1)
        self.assertEqual(self.client.call("end", session=ready["session"]).status, 200)
        self.assertEqual(display.wait_close(), 1000)

    def test_old_tls_is_refused(self):
        # Python does not like to be asked for these, either.
        self.enterContext(warnings.catch_warnings(action="ignore", category=DeprecationWarning))
        for version in (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1, ssl.TLSVersion.TLSv1_2):
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.load_verify_locations(self.authority.path("ca.pem"))
            # So that it is the portal that refuses, and not we.
            context.set_ciphers("ALL:@SECLEVEL=0")
            context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
            context.maximum_version = version
            with self.assertRaises(ssl.SSLError, msg=version.name) as caught:
                self.client.connect(context)
            self.assertEqual(caught.exception.reason, "TLSV1_ALERT_PROTOCOL_VERSION", version.name)

    # -- a sign-in, and what becomes of it --------------------------------------------------------

    def test_sign_ins_that_fail_have_one_answer_and_set_no_cookie(self):
        person, replayed = self.take(2)
        self.client.sign_in(replayed)
        nobody = type(person)("nobody-of-this-name", "x", "", "")
        answers = [self.client.sign_in(person, code="000000"), self.client.sign_in(person, password="fout"),
                   self.client.sign_in(nobody, code="123456"),
                   self.client.sign_in(replayed, code=replayed.authenticator.last_code())]
        for answer in answers:
            self.assertEqual(answer.error, (401, "sign-in-failed"))
            self.assertEqual(answer.body, answers[0].body)
            self.assertIsNone(answer.header("Set-Cookie"))
            self.assert_guarded(answer)

    def test_a_sign_in_goes_for_all_gateways_until_it_is_signed_out(self):
        person, = self.take()
        answer = self.client.sign_in(person)
        self.assertEqual(answer.status, 200, answer)
        self.assertRegex(answer.header("Set-Cookie"), f"^{COOKIE}=[A-Za-z0-9_-]{{32,128}}{re.escape(TERMS)}$")
        self.assertEqual(answer.header("Cache-Control"), "no-store")
        self.assertNotIn(self.client.cookie, answer.body.decode())
        self.assertEqual(set(answer.json), {"display_name", "expires_unix_ms", "idle_limit_s", "notices"})
        self.assertEqual(answer.json["display_name"], person.name)
        self.other.cookie = self.client.cookie
        for client in self.clients.values():
            listed = client.pools()
            self.assertEqual(listed.status, 200, listed)
            pool, = [one for one in listed.json["pools"] if one["pool"] == "kantoor"]
            self.assertEqual((pool["available"], pool["session"]), (True, None))
            self.assertIsNone(listed.header("Set-Cookie"))
        self.assertEqual(len(self.sign_ins(person)), 1)
        out = self.other.call("sign-out")
        self.assert_signed_out(out)
        self.assertEqual(self.sign_ins(person), [])
        for client in self.clients.values():
            self.assertEqual(client.pools().error, (401, "sign-in-first"))

    def assert_signed_out(self, answer):
        self.assertEqual((answer.status, answer.json), (200, {}))
        self.assertEqual(answer.header("Set-Cookie"), f"{COOKIE}={TERMS}; Max-Age=0")
        self.assertEqual(answer.header("Clear-Site-Data"), '"cache", "storage"')

    def test_a_call_that_is_repeated_is_done_once(self):
        person, = self.take()
        first, again = "ab" * 16, "cd" * 16
        code = person.authenticator.code()
        answers = [client.call("sign-in", first, user=person.user, password=person.password, code=code, language="en")
                   for client in self.clients.values()]
        self.assertEqual([answer.status for answer in answers], [200, 200], "the answer was lost, and asked for again")
        self.assertEqual(len(self.sign_ins(person)), 1)
        self.other.cookie = answers[1].header("Set-Cookie").partition(";")[0].partition("=")[2]
        for client in (self.other, self.client):
            client.cookie = self.other.cookie
            self.assert_signed_out(client.call("sign-out", again))
        self.assertEqual(self.sign_ins(person), [])

    def test_a_display_is_the_persons_and_its_secrets_are_in_no_log(self):
        person, stranger = self.take(2)
        self.client.sign_in(person)
        self.lab.wait_spares("kantoor", 1)
        display, ready = self.opened_display(self.client)
        self.assertEqual(display.protocol, "werkplek.display")
        session = self.session_of(person)
        self.assertEqual((ready["session"], ready["desktop"]), (session["id"], session["desktop"]))
        # Another one can neither end nor disconnect it.
        self.other.sign_in(stranger)
        for name in ("end", "disconnect"):
            self.assertEqual(self.other.call(name, session=session["id"]).status, 404, name)
        self.other.cookie = self.client.cookie
        again, taken = self.opened_display(self.other)
        self.assertEqual(display.wait_close(), 1000, "taken over")
        self.assertEqual((taken["session"], taken["desktop"]), (ready["session"], ready["desktop"]))
        self.assertEqual(self.client.call("disconnect", session=session["id"]).status, 200)
        self.assertEqual(again.wait_close(), 1000, "disconnected")
        self.assertEqual(self.client.call("end", session=session["id"]).status, 200)
        tokens = [self.client.cookie, person.password]
        self.assertEqual(self.client.call("sign-out").status, 200)
        for path in glob.glob(os.path.join(self.folder, "*.log")):
            with open(path, encoding="utf-8", errors="replace") as file:
                text = file.read()
            for token in tokens:
                self.assertNotIn(token, text, f"a secret is in {os.path.basename(path)}")

    def test_a_pool_that_is_not_ones_own_is_refused_in_words(self):
        person, = self.take()
        self.client.sign_in(person)
        with self.client.upgrade("/display/no-such-pool") as display:
            last = display.stages()[-1]
            self.assertIn(last["stage"], ("refused", "failed"), last)
            self.assertEqual(display.wait_close(), 1000)
        answer = self.client.upgrade("/display/kantoor", {"Sec-WebSocket-Protocol": None})
        self.assertEqual(answer.status, 400)
        self.assertEqual(self.client.upgrade("/display/../kantoor").status, 404)
        self.assertEqual(self.sessions(user=person.user), [])


if __name__ == "__main__":
    main()

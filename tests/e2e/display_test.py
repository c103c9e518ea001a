"""The main job: the right password and code give a desktop whose screen is that desktop's and nobody else's."""

import os

from end_to_end import EndToEndTest, main
from processes import executable, processes_naming
from screen import read_screen
from viewers import OpenDisplay, VncClient, capture_with_gvnc, capture_with_spice


class DisplayTest(EndToEndTest):
    pools = {"kantoor": {"min_desktops": 2, "max_desktops": 6, "running_spares": 2, "suspend_after_s": 2}}

    def test_1_each_sees_their_own_desktop_through_real_viewers(self):
        self.lab.wait_spares("kantoor", 2)
        seen = {}
        for person in self.take(2):
            self.sign_in(person)
            picture = os.path.join(self.folder, f"{person.user}.png")
            with OpenDisplay(self.lab, "tc-001", "kantoor", "vnc", person.folder) as display:
                capture_with_gvnc(display.address(), picture)
                display.wait_ended()
            by_vnc = read_screen(picture)
            with OpenDisplay(self.lab, "tc-001", "kantoor", "spice", person.folder) as display:
                capture_with_spice(display.address(), picture + ".ppm")
            by_spice = read_screen(picture + ".ppm")
            session = self.session_of(person)
            for screen in (by_vnc, by_spice):
                self.assertEqual(screen.desktop, session["desktop"])
                self.assertEqual(screen.user, person.user)
                self.assertEqual(screen.state, "session")
            seen[person.user] = session["desktop"]
        self.assertEqual(len(set(seen.values())), 2, seen)

    def test_2_disconnect_suspends_and_connect_resumes_the_same_desktop(self):
        person, = self.take()
        self.sign_in(person)
        with OpenDisplay(self.lab, "tc-001", "kantoor", "vnc", person.folder) as display:
            with VncClient(display.address()) as viewer:
                viewer.screen(until=lambda screen: screen.user == person.user)
                first = self.session_of(person)
                self.wait(lambda: self.session_of(person)["state"] == "SESSION_STATE_ACTIVE", 10, "an active session")
                viewer.type("write hallo")
                viewer.screen(until=lambda screen: screen.marker == "hallo")
        self.wait(lambda: self.session_of(person)["state"] == "SESSION_STATE_DISCONNECTED", 15, "the disconnect")
        self.wait(lambda: self.desktop(first["desktop"]).get("reported_power") == "POWER_SUSPENDED", 30,
                  "the suspended desktop")
        with OpenDisplay(self.lab, "tc-001", "kantoor", "vnc", person.folder) as display:
            with VncClient(display.address()) as viewer:
                screen = viewer.screen(until=lambda screen: screen.user == person.user)
        second = self.session_of(person)
        self.assertEqual((second["id"], second["desktop"]), (first["id"], first["desktop"]))
        self.assertEqual((screen.desktop, screen.marker), (first["desktop"], "hallo"))

    def test_3_a_second_client_takes_the_session_over(self):
        person, = self.take()
        self.sign_in(person, "tc-001")
        with OpenDisplay(self.lab, "tc-001", "kantoor", "vnc", person.folder) as first:
            with VncClient(first.address()) as viewer:
                viewer.screen(until=lambda screen: screen.user == person.user)
                session = self.session_of(person)
                other = os.path.join(self.folder, "other")
                os.makedirs(other, mode=0o700, exist_ok=True)
                self.lab.werkplek("tc-002", "sign-in", "--user", person.user, token_folder=other,
                                  given=f"{person.password}\n{person.authenticator.code()}\n")
                with OpenDisplay(self.lab, "tc-002", "kantoor", "vnc", other) as second:
                    with VncClient(second.address()) as taken:
                        screen = taken.screen(until=lambda screen: screen.user == person.user)
                        viewer.wait_closed()
                        viewer.close()
                        first.wait_ended()
                        now = self.session_of(person)
        self.assertEqual((now["id"], now["desktop"]), (session["id"], session["desktop"]))
        self.assertEqual(screen.desktop, session["desktop"])

    def test_4_no_display_port_is_open_on_the_hosts(self):
        self.lab.wait_spares("kantoor", 1)
        listening = set()
        for table in ("tcp", "tcp6"):
            with open(f"/proc/net/{table}", encoding="ascii") as file:
                for line in file.readlines()[1:]:
                    fields = line.split()
                    if fields[3] == "0A":
                        listening.add(fields[9])
        guests = 0
        # Of this lab: another test's may run beside it.
        for pid in processes_naming(self.lab.short_folder()):
            if "qemu-system" not in executable(pid):
                continue
            try:
                links = [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")]
            except OSError:
                continue
            guests += 1
            sockets = {link[len("socket:["):-1] for link in links if link.startswith("socket:[")}
            self.assertFalse(sockets & listening, f"QEMU process {pid} listens on TCP")
        self.assertGreater(guests, 0)


if __name__ == "__main__":
    main()

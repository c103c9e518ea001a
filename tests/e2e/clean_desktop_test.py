"""What one person leaves on a desktop is gone for the next, whatever happens to the agent in between."""

from end_to_end import EndToEndTest, main
from viewers import OpenDisplay, VncClient


class CleanDesktopTest(EndToEndTest):
    # One desktop, so that the next person gets the very same one.
    pools = {"een": {"max_desktops": 1, "min_desktops": 1, "running_spares": 1, "sites": "noord"}}

    def leave_marker(self, person, text):
        self.sign_in(person)
        with OpenDisplay(self.lab, "tc-001", "een", "vnc", person.folder) as display:
            with VncClient(display.address()) as viewer:
                viewer.screen(until=lambda screen: screen.user == person.user)
                viewer.type(f"write {text}")
                viewer.screen(until=lambda screen: screen.marker == text)
        return self.session_of(person)

    def look(self, person):
        self.sign_in(person)
        with OpenDisplay(self.lab, "tc-001", "een", "vnc", person.folder) as display:
            with VncClient(display.address(timeout_s=150)) as viewer:
                return viewer.screen(until=lambda screen: screen.user == person.user)

    def test_a_marker_is_gone_for_the_next_person(self):
        writer, reader = self.take(2)
        before = self.leave_marker(writer, "geheim")
        self.werkplek(writer, "end", "een", "--yes")
        screen = self.look(reader)
        after = self.session_of(reader)
        self.assertEqual(screen.desktop, before["desktop"])
        self.assertEqual(screen.marker, "")
        self.assertGreater(int(after["generation"]), int(before["generation"]))
        self.werkplek(reader, "end", "een", "--yes")

    def test_an_agent_killed_in_the_middle_of_a_reset_leads_to_a_fresh_reset(self):
        writer, reader = self.take(2)
        before = self.leave_marker(writer, "privé".replace("é", "e"))
        self.werkplek(writer, "end", "een", "--yes")
        agent = self.lab.agents["hv-n1"]
        self.wait(lambda: self.desktop(before["desktop"])["desktop"]["state"] == "DESKTOP_STATE_RESETTING", 15,
                  "the reset")
        agent.kill()
        agent.process.wait(10)
        self.lab.start_agent("hv-n1")
        screen = self.look(reader)
        self.assertEqual(screen.marker, "")
        after = self.session_of(reader)
        self.assertGreater(int(after["generation"]), int(before["generation"]))
        self.werkplek(reader, "end", "een", "--yes")

    def test_a_log_out_inside_the_desktop_ends_the_session(self):
        person, = self.take()
        self.sign_in(person)
        with OpenDisplay(self.lab, "tc-001", "een", "vnc", person.folder) as display:
            with VncClient(display.address(timeout_s=150)) as viewer:
                viewer.screen(until=lambda screen: screen.user == person.user)
                viewer.type("logout")
                viewer.wait_closed(60)
            display.wait_ended(60)
        self.wait(lambda: not [s for s in self.sessions(user=person.user) if s["state"] != "SESSION_STATE_ENDED"], 30,
                  "the end of the session")


if __name__ == "__main__":
    main()

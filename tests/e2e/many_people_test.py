"""Twenty people at once and twelve desktops: twelve get one each, eight wait and get theirs as others end."""

import collections
import re
import threading

from end_to_end import EndToEndTest, main
from screen import read_screen


class ManyPeopleTest(EndToEndTest):
    pools = {"kantoor": {"min_desktops": 0, "max_desktops": 12, "running_spares": 2, "memory_mib": 128}}

    def test_twenty_people_and_twelve_desktops(self):
        people = self.take(20)
        for person in people:
            self.sign_in(person)
        outputs, failures, done = {}, {}, {person.user: threading.Event() for person in people}

        def connect(person):
            try:
                picture = f"{person.folder}/screen.png"
                outputs[person.user] = self.werkplek(person, "connect", "kantoor", "--screenshot", picture)
            except Exception as failure:  # pylint: disable=broad-except
                failures[person.user] = failure
            done[person.user].set()

        threads = [threading.Thread(target=connect, args=(person,)) for person in people]
        for thread in threads:
            thread.start()
        self.wait(lambda: failures or sum(event.is_set() for event in done.values()) >= 12, 240, "twelve desktops")
        self.assertFalse(failures)
        self.wait(lambda: int(self.lab.pool_status("kantoor").get("waiting", 0)) == 8, 20, "eight people that wait")
        self.assert_one_desktop_each()

        served = [person for person in people if done[person.user].is_set()]
        for person in served[:8]:
            self.werkplek(person, "end", "kantoor", "--yes")
        self.wait(lambda: failures or all(event.is_set() for event in done.values()), 240, "everybody's desktop")
        for thread in threads:
            thread.join(10)
        self.assertFalse(failures)
        self.assert_one_desktop_each()
        for person in people:
            self.assertEqual(read_screen(f"{person.folder}/screen.png").user, person.user)

    def assert_one_desktop_each(self):
        live = [s for s in self.sessions() if s["state"] not in ("SESSION_STATE_ENDED", "SESSION_STATE_ENDING")]
        desktops = collections.Counter(session["desktop"] for session in live)
        users = collections.Counter(session["user"] for session in live)
        self.assertLessEqual(len(live), 12)
        self.assertTrue(all(count == 1 for count in desktops.values()), desktops)
        self.assertTrue(all(count == 1 for count in users.values()), users)

    def test_waiting_people_are_told_their_position(self):
        self.lab.add_pool("klein", max_desktops=1, running_spares=0, memory_mib=128)
        first, second = self.take(2)
        self.sign_in(first)
        self.sign_in(second)
        self.werkplek(first, "connect", "klein", "--screenshot", f"{first.folder}/a.png")
        said = {}

        def wait_in_line():
            said["text"] = self.connect_with_progress(second)

        thread = threading.Thread(target=wait_in_line)
        thread.start()
        self.wait(lambda: int(self.lab.pool_status("klein").get("waiting", 0)) == 1, 20, "one that waits")
        self.werkplek(first, "end", "klein", "--yes")
        thread.join(90)
        self.assertRegex(said["text"], re.compile(r"\b1\b"))

    def connect_with_progress(self, person):
        """Standard output and error of the connect, as a person sees them."""
        import subprocess  # pylint: disable=import-outside-toplevel
        done = subprocess.run([self.lab.program("werkplek"), "--config", self.lab.path("tc-001.yaml"), "connect", "klein",
                               "--screenshot", f"{person.folder}/b.png"], capture_output=True, text=True, timeout=120,
                              env=self.lab.environment({"XDG_RUNTIME_DIR": person.folder}), check=True)
        return done.stdout + done.stderr


if __name__ == "__main__":
    main()

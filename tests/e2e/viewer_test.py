"""A person at a thin client: `werkplek connect` opens remote-viewer, and its window shows the desktop that is theirs."""

import os
import signal
import subprocess
import tempfile

from PIL import Image, ImageChops

from end_to_end import EndToEndTest, main
from processes import executable, wait_until
from screen import COLUMNS, FIRST_STRIP_ROW, ROWS, read_screen
from x_screen import XScreen

# The strip is unlike anything else: its uppermost line of pixels says where on the screen the desktop is.
STRIP_LINE = (FIRST_STRIP_ROW - 1) / ROWS


def find_desktop(screen, desktop):
    """Where on the picture `screen` the picture `desktop` begins, by the exact pixels of its strip; else None."""
    line = round(STRIP_LINE * desktop.height)
    wanted = desktop.crop((0, line, desktop.width, line + 1)).tobytes()
    pixels, row_bytes = screen.tobytes(), 3 * screen.width
    at = pixels.find(wanted)
    while at >= 0:
        left, top = at % row_bytes // 3, at // row_bytes - line
        if at % 3 == 0 and 0 <= top <= screen.height - desktop.height and left <= screen.width - desktop.width:
            return left, top
        at = pixels.find(wanted, at + 1)
    return None


def part_that_differs(one, other):
    """Of all pixels, which part is not the same."""
    differences = ImageChops.difference(one, other).convert("L").point(lambda value: 255 if value else 0)
    return differences.histogram()[255] / (one.width * one.height)


class ShownDesktop:
    """`werkplek connect POOL` while it runs, with its viewer on a screen of ours."""

    def __init__(self, lab, client, pool, screen, token_folder):
        settings = os.path.join(token_folder, "settings")
        os.makedirs(os.path.join(settings, "virt-viewer"), exist_ok=True)
        # As after "do not ask me again": the close button closes.
        with open(os.path.join(settings, "virt-viewer", "settings"), "w", encoding="ascii") as file:
            file.write("[virt-viewer]\nask-quit=false\n")
        environment = lab.environment({
            "XDG_RUNTIME_DIR": token_folder, "XDG_CONFIG_HOME": settings, "XDG_CACHE_HOME": settings,
            "DISPLAY": screen.name, "GDK_BACKEND": "x11", "NO_AT_BRIDGE": "1", "GSETTINGS_BACKEND": "memory",
            "DBUS_SESSION_BUS_ADDRESS": "disabled:"})
        self.log = tempfile.NamedTemporaryFile("w+", dir=lab.folder, suffix=".viewer")
        self.process = subprocess.Popen(
            [lab.program("werkplek"), "--config", lab.path(f"{client}.yaml"), "connect", pool],
            stdout=self.log, stderr=self.log, stdin=subprocess.DEVNULL, env=environment)

    def text(self):
        with open(self.log.name, encoding="utf-8") as file:
            return file.read()

    def viewer(self):
        """The process id of the viewer that `werkplek` has started; None: none yet."""
        with open(f"/proc/{self.process.pid}/task/{self.process.pid}/children", encoding="ascii") as file:
            for pid in file.read().split():
                if executable(int(pid)) == "remote-viewer":
                    return int(pid)
        return None

    def socket_path(self):
        """The local socket that the viewer was given."""
        with open(f"/proc/{self.viewer()}/cmdline", encoding="utf-8") as file:
            url = file.read().rstrip("\0").split("\0")[-1]
        assert url.startswith("spice+unix://"), url
        return url[len("spice+unix://"):]

    def wait_ended(self, timeout_s=30):
        wait_until(lambda: self.process.poll() is not None, timeout_s, "the end of werkplek connect")
        return self.process.returncode

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(20)
        self.log.close()


class ViewerTest(EndToEndTest):
    # Nothing suspends while we look.
    pools = {"kantoor": {"min_desktops": 3, "max_desktops": 6, "running_spares": 2, "suspend_after_s": 3600}}

    def setUp(self):
        self.screen = XScreen()
        self.addCleanup(self.screen.close)
        self.begin_session()

    def begin_session(self):
        """Somebody who has a desktop and does not look at it, and what the desktop shows."""
        self.person, = self.take()
        self.sign_in(self.person)
        self.lab.wait_spares("kantoor", 1)
        # What --screenshot brings over VNC is what the window is to show over SPICE.
        file = os.path.join(self.folder, f"{self.person.user}.png")
        self.werkplek(self.person, "connect", "kantoor", "--screenshot", file)
        with Image.open(file) as opened:
            self.expected = opened.convert("RGB")
        self.wait_state("DISCONNECTED")

    def wait_state(self, state):
        self.wait(lambda: self.session_of(self.person)["state"] == f"SESSION_STATE_{state}", 20, f"a session {state}")

    def show(self):
        return ShownDesktop(self.lab, "tc-001", "kantoor", self.screen, self.person.folder)

    def wait_shown(self, shown):
        """The part of the screen on which the desktop is."""
        def look(picture):
            self.assertIsNone(shown.process.poll(), shown.text())
            place = find_desktop(picture, self.expected)
            if place is None:
                return None
            return picture.crop((*place, place[0] + self.expected.width, place[1] + self.expected.height))

        return self.screen.wait_picture(look, 60, "the desktop in a window")

    def test_1_the_window_shows_the_persons_own_desktop_and_closing_it_disconnects(self):
        self.assertIsNone(find_desktop(self.screen.picture(), self.expected), "an empty screen shows a desktop")
        with self.show() as shown:
            seen = self.wait_shown(shown)
            self.wait_state("ACTIVE")
            session = self.session_of(self.person)
            # The window is remote-viewer's, and werkplek has started it.
            self.assertIsNotNone(shown.viewer(), shown.text())
            windows = self.screen.windows()
            self.assertEqual([window.get_wm_class()[1].lower() for window in windows], ["remote-viewer"])
            path = shown.socket_path()
            self.assertEqual(os.stat(path).st_mode & 0o777, 0o600)
            # The strip in the window names the desktop and the person; everything else is as in the other picture,
            # but for the cursor, which blinks.
            file = os.path.join(self.folder, "window.png")
            seen.save(file)
            self.screen.picture().save(os.path.join(self.folder, "whole.png"))
            strip = read_screen(file)
            self.assertEqual((strip.desktop, strip.user, strip.state),
                             (session["desktop"], self.person.user, "session"))
            self.assertLess(part_that_differs(seen, self.expected), 2 / (COLUMNS * ROWS))
            self.screen.press_close(windows[0])
            self.assertEqual(shown.wait_ended(), 0, shown.text())
            self.assertIn("The screen is closed.", shown.text())
        self.wait_state("DISCONNECTED")
        self.assertEqual(self.screen.windows(), [])
        self.assertFalse(os.path.exists(os.path.dirname(path)), "the socket's folder is still there")

    def test_2_a_viewer_that_is_killed_disconnects_and_the_next_one_shows_the_same_desktop(self):
        with self.show() as shown:
            self.wait_shown(shown)
            self.wait_state("ACTIVE")
            first = self.session_of(self.person)
            os.kill(shown.viewer(), signal.SIGKILL)
            self.assertEqual(shown.wait_ended(), 0, shown.text())
        self.wait_state("DISCONNECTED")
        with self.show() as shown:
            self.wait_shown(shown)
            self.wait_state("ACTIVE")
            second = self.session_of(self.person)
            self.assertEqual((second["id"], second["desktop"]), (first["id"], first["desktop"]))

    def test_3_an_interrupt_closes_the_viewer(self):
        with self.show() as shown:
            self.wait_shown(shown)
            self.wait_state("ACTIVE")
            folder = os.path.dirname(shown.socket_path())
            shown.process.send_signal(signal.SIGINT)
            self.assertEqual(shown.wait_ended(), 130, shown.text())
        self.wait_state("DISCONNECTED")
        self.assertEqual(self.screen.windows(), [])
        self.assertFalse(os.path.exists(folder), "the socket's folder is still there")

    def test_4_the_end_of_the_session_takes_the_window_away(self):
        with self.show() as shown:
            self.wait_shown(shown)
            self.wait_state("ACTIVE")
            self.werkplek(self.person, "end", "kantoor", "--yes")
            self.assertEqual(shown.wait_ended(), 0, shown.text())
            self.assertNotIn("stays open", shown.text())
        self.assertEqual(self.screen.windows(), [])

    def test_5_another_persons_desktop_is_not_taken_for_ones_own(self):
        mine = self.expected
        self.begin_session()
        with self.show() as shown:
            self.wait_shown(shown)
            self.assertIsNone(find_desktop(self.screen.picture(), mine))


if __name__ == "__main__":
    main()

"""A screen that nobody sits at (Xvfb), for viewers that open a window: what is on it, and its windows' close buttons."""

import os
import subprocess
import tempfile

from PIL import Image
from Xlib import X, display, error
from Xlib.protocol import event

from processes import PartFailed, wait_until


class XScreen:
    """One Xvfb with its own display number; `name` is what DISPLAY is to be."""

    def __init__(self, width=1280, height=1024):
        self.size = (width, height)
        self.log = tempfile.TemporaryFile()
        read_end, write_end = os.pipe()
        # The server picks a free number and tells it. It stays when its last client goes.
        self.process = subprocess.Popen(
            ["Xvfb", "-displayfd", str(write_end), "-screen", "0", f"{width}x{height}x24", "-nolisten", "tcp",
             "-noreset"],
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, pass_fds=(write_end,))
        os.close(write_end)
        with os.fdopen(read_end, encoding="ascii") as told:
            number = told.readline().strip()
        if not number:
            self.process.wait(10)
            self.log.seek(0)
            raise PartFailed(f"Xvfb ended with {self.process.returncode}: {self.log.read().decode()}")
        self.name = f":{number}"
        self.connection = display.Display(self.name)
        self.root = self.connection.screen().root

    def picture(self):
        """The whole screen, as one who sits at it would see it."""
        width, height = self.size
        raw = self.root.get_image(0, 0, width, height, X.ZPixmap, 0xFFFFFFFF)
        return Image.frombytes("RGB", self.size, raw.data, "raw", "BGRX")

    def windows(self):
        """The windows that a person could see and close."""
        found = []
        for window in self.root.query_tree().children:
            try:
                if window.get_attributes().map_state == X.IsViewable and window.get_wm_class():
                    found.append(window)
            except error.BadWindow:
                continue
        return found

    def titles(self):
        said = []
        for window in self.windows():
            try:
                said.append((window.get_wm_class()[1], window.get_wm_name()))
            except (error.BadWindow, TypeError):
                continue
        return said

    def press_close(self, window):
        """What a window manager's close button sends (ICCCM 4.2.8.1)."""
        protocols = self.connection.intern_atom("WM_PROTOCOLS")
        delete = self.connection.intern_atom("WM_DELETE_WINDOW")
        if delete not in (window.get_wm_protocols() or []):
            raise PartFailed(f"the window of {window.get_wm_class()} has no close button")
        window.send_event(event.ClientMessage(window=window, client_type=protocols,
                                              data=(32, [delete, X.CurrentTime, 0, 0, 0])))
        self.connection.sync()

    def wait_picture(self, found, timeout_s, what):
        """The result of `found(picture)` once it gives something; the last picture is in the failure's file."""
        last = []

        def look():
            last[:] = [self.picture()]
            return found(last[0])

        try:
            return wait_until(look, timeout_s, what, interval_s=0.2)
        except PartFailed as failed:
            with tempfile.NamedTemporaryFile(prefix="wp-screen-", suffix=".png", delete=False) as file:
                last[0].save(file.name)
            raise PartFailed(f"{failed}; windows {self.titles()}; last seen: {file.name}") from None

    def close(self):
        self.connection.close()
        self.process.terminate()
        self.process.wait(20)
        self.log.close()

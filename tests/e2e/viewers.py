"""Ways to look at a desktop: real viewers of Debian's packages, and a small VNC client that can also type."""

import re
import socket
import struct
import subprocess
import tempfile

from PIL import Image

from processes import PartFailed, wait_until
from screen import Unreadable, read_screen


class OpenDisplay:
    """`werkplek connect POOL --vnc` (or --spice) while it runs: what a viewer of one's own can be given."""

    def __init__(self, lab, client, pool, kind="vnc", token_folder=None, flags=(), before=()):
        """`before` is what the command begins with, such as the one that enters another machine."""
        words = [*before, lab.program("werkplek"), "--config", lab.path(f"{client}.yaml"), "connect", pool, f"--{kind}",
                 "--no-viewer", *flags]
        more = {"XDG_RUNTIME_DIR": token_folder} if token_folder else {}
        self.log = tempfile.NamedTemporaryFile("w+", dir=lab.folder, suffix=".connect")
        self.process = subprocess.Popen(words, stdout=self.log, stderr=self.log, stdin=subprocess.DEVNULL,
                                        env=lab.environment(more))
        self.kind = kind

    def text(self):
        self.log.flush()
        with open(self.log.name, encoding="utf-8") as file:
            return file.read()

    def address(self, timeout_s=90):
        """The port (VNC) or the socket's path (SPICE), once the desktop is ready."""
        pattern = r"vnc://127\.0\.0\.1:(\d+)" if self.kind == "vnc" else r"spice\+unix://(\S+)"

        def look():
            if self.process.poll() is not None:
                raise PartFailed(f"werkplek connect ended with {self.process.returncode}: {self.text()}")
            return re.search(pattern, self.text())

        return wait_until(look, timeout_s, f"a display ({self.text()})").group(1)

    def wait_ended(self, timeout_s=30):
        wait_until(lambda: self.process.poll() is not None, timeout_s, "the end of werkplek connect")
        return self.process.returncode

    def close(self):
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(20)
        self.log.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class VncClient:
    """RFB 3.8 (RFC 6143) with raw pixels: reads the screen and types."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", int(port)), timeout=30)
        assert self._read(12).startswith(b"RFB 003.")
        self.socket.sendall(b"RFB 003.008\n")
        kinds = self._read(self._read(1)[0])
        assert 1 in kinds, f"no security type None among {list(kinds)}"
        self.socket.sendall(b"\x01")
        assert self._read(4) == bytes(4), "the VNC server refused"
        self.socket.sendall(b"\x01")
        self.width, self.height = struct.unpack(">HH", self._read(4))
        self._read(16)
        self._read(struct.unpack(">I", self._read(4))[0])
        # 32 bits, blue first; raw encoding only, and the screen's size may change.
        self.socket.sendall(struct.pack(">BxxxBBBBHHHBBBxxx", 0, 32, 24, 0, 1, 255, 255, 255, 16, 8, 0))
        self.socket.sendall(struct.pack(">BxHii", 2, 2, 0, -223))
        self.image = Image.new("RGB", (self.width, self.height))

    def _read(self, count):
        data = b""
        while len(data) < count:
            got = self.socket.recv(count - len(data))
            if not got:
                raise EOFError("the display was closed")
            data += got
        return data

    def refresh(self):
        self.socket.sendall(struct.pack(">BBHHHH", 3, 0, 0, 0, self.width, self.height))
        while True:
            kind = self._read(1)[0]
            if kind == 0:
                self._update(struct.unpack(">xH", self._read(3))[0])
                return
            if kind == 1:
                self._read(struct.unpack(">xHH", self._read(5))[1] * 6)
            elif kind == 3:
                self._read(struct.unpack(">xxxI", self._read(7))[0])

    def _update(self, rectangles):
        for _ in range(rectangles):
            x, y, width, height, encoding = struct.unpack(">HHHHi", self._read(12))
            if encoding == -223:
                self.width, self.height = width, height
                self.image = Image.new("RGB", (width, height))
            elif encoding == 0:
                pixels = self._read(width * height * 4)
                if width and height:
                    self.image.paste(Image.frombytes("RGB", (width, height), pixels, "raw", "BGRX"), (x, y))

    def screen(self, timeout_s=30, until=lambda screen: True):
        """What the guest's strip says, once it can be read and `until` holds."""
        last = []
        with tempfile.NamedTemporaryFile(suffix=".png") as file:
            def look():
                self.refresh()
                self.image.save(file.name)
                try:
                    screen = read_screen(file.name)
                except Unreadable as unreadable:
                    last[:] = [unreadable]
                    return None
                last[:] = [screen]
                return screen if until(screen) else None

            try:
                return wait_until(look, timeout_s, "the awaited screen", interval_s=0.2)
            except PartFailed as failed:
                raise PartFailed(f"{failed}; last seen: {last}") from None

    def type(self, text):
        for key in [ord(letter) for letter in text] + [0xFF0D]:
            for down in (1, 0):
                self.socket.sendall(struct.pack(">BBxxI", 4, down, key))
            # The keyboard's queue is short: go on when the display has answered.
            self.refresh()

    def wait_closed(self, timeout_s=15):
        self.socket.settimeout(timeout_s)
        try:
            while self.socket.recv(65536):
                pass
        except ConnectionResetError:
            pass

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def run_viewer(command):
    done = subprocess.run(command, timeout=60, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise PartFailed(f"{' '.join(command)}: status {done.returncode}: {done.stdout}{done.stderr}")


def capture_with_gvnc(port, picture):
    """gtk-vnc's own capture program."""
    run_viewer(["gvnccapture", f"127.0.0.1:{int(port) - 5900}", picture])


def capture_with_spice(path, picture):
    """spice-gtk's own capture program; it writes a PPM."""
    run_viewer(["spicy-screenshot", f"--uri=spice+unix://{path}", f"--out-file={picture}"])

"""Reads what the tiny guest shows: its screen ends in a strip of coloured cells that says whose desktop it is.

The format stands in deploy/images/tiny/guest/screen.awk.
"""

from PIL import Image

COLUMNS, ROWS, FIRST_STRIP_ROW = 80, 25, 23
# The console's 16 colours, in their order.
PALETTE = [(0, 0, 0), (170, 0, 0), (0, 170, 0), (170, 85, 0), (0, 0, 170), (170, 0, 170), (0, 170, 170),
           (170, 170, 170), (85, 85, 85), (255, 85, 85), (85, 255, 85), (255, 255, 85), (85, 85, 255),
           (255, 85, 255), (85, 255, 255), (255, 255, 255)]


class Unreadable(Exception):
    """The picture has no strip, or one that is being drawn."""


class Screen:
    """What the strip says."""

    def __init__(self, desktop, state, user, marker):
        self.desktop, self.state, self.user, self.marker = desktop, state, user, marker

    def __repr__(self):
        return f"desktop {self.desktop}, state {self.state}, user {self.user}, marker {self.marker!r}"


def nibbles(image):
    width, height = image.width / COLUMNS, image.height / ROWS
    for row in range(FIRST_STRIP_ROW - 1, ROWS):
        for column in range(COLUMNS):
            pixel = image.getpixel((int((column + 0.5) * width), int((row + 0.5) * height)))
            yield min(range(16), key=lambda i: sum((a - b) ** 2 for a, b in zip(pixel, PALETTE[i])))


def read_screen(path):
    with Image.open(path) as opened:
        cells = list(nibbles(opened.convert("RGB")))
    data = [16 * high + low for high, low in zip(cells[::2], cells[1::2])]
    count, checksum = data[0], data[1]
    body = bytes(data[2:2 + count])
    if count == 0 or len(body) != count or sum(body) % 256 != checksum:
        raise Unreadable(f"{path}: no strip")
    fields = body.decode().split("\t")
    if len(fields) != 4:
        raise Unreadable(f"{path}: {fields}")
    return Screen(*fields)

"""icmp_echo.py ADDRESS%INTERFACE: ends with 0 when an ICMPv6 echo is answered within a second (ping is not everywhere)."""

import socket
import sys
import time

ECHO_REQUEST, ECHO_REPLY = 128, 129
ANSWER_S = 1


def main():
    target = socket.getaddrinfo(sys.argv[1], None, socket.AF_INET6, socket.SOCK_RAW)[0][4]
    with socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6) as echo:
        # The kernel fills in the checksum.
        echo.sendto(bytes([ECHO_REQUEST, 0, 0, 0, 0x57, 0x50, 0, 1]), target)
        deadline = time.monotonic() + ANSWER_S
        while (left := deadline - time.monotonic()) > 0:
            echo.settimeout(left)
            try:
                packet, source = echo.recvfrom(1500)
            except TimeoutError:
                return 1
            # Both as 16 bytes: the texts differ by the interface.
            addresses = [socket.inet_pton(socket.AF_INET6, one[0].split("%")[0]) for one in (source, target)]
            if packet[0] == ECHO_REPLY and addresses[0] == addresses[1]:
                return 0
    return 1


if __name__ == "__main__":
    sys.exit(main())

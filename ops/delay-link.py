"""Holds up all packets between two network namespaces: what boxes.ts runs for `delay`.

    delay-link.py MS NAMESPACE PEER DEVICE NAMESPACE PEER DEVICE

Each namespace gets a tun device as its way to the peer's address. This process reads packets from
one and writes them to the other MS later, so it needs nothing of the kernel but /dev/net/tun. It
returns once the way is in force, and its background half ends when the devices are removed.
"""

import collections
import ctypes
import fcntl
import os
import select
import struct
import subprocess
import sys
import time

TUNSETIFF = 0x400454CA
IFF_TUN = 0x0001
IFF_NO_PI = 0x1000
CLONE_NEWNET = 0x40000000
PACKET_BYTES_MAX = 65536
# A sender that heeds nothing must not fill the memory.
PACKETS_MAX = 65536

libc = ctypes.CDLL(None, use_errno=True)


def open_device(namespace, peer, device):
    """Enters the namespace, makes the device there, and leads the way to the peer into it."""
    with open("/run/netns/" + namespace) as file:
        if libc.setns(file.fileno(), CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "setns " + namespace)
    tun = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(tun, TUNSETIFF, struct.pack("16sH22x", device.encode(), IFF_TUN | IFF_NO_PI))
    own = subprocess.check_output(["ip", "-4", "-o", "address", "show", "eth0"], text=True).split()[3].split("/")[0]
    subprocess.check_call(["ip", "link", "set", device, "up"])
    subprocess.check_call(["ip", "route", "add", peer + "/32", "dev", device, "src", own])
    return tun


def relay(delay_s, tuns):
    """Passes packets on until a device is removed."""
    held = collections.deque()
    other = {tuns[0]: tuns[1], tuns[1]: tuns[0]}
    while True:
        wait_s = None if not held else max(0, held[0][0] - time.monotonic())
        ready, _, _ = select.select(tuns, [], [], wait_s)
        for tun in ready:
            packet = os.read(tun, PACKET_BYTES_MAX)
            if len(held) < PACKETS_MAX:
                held.append((time.monotonic() + delay_s, other[tun], packet))
        while held and held[0][0] <= time.monotonic():
            _, tun, packet = held.popleft()
            try:
                os.write(tun, packet)
            except BlockingIOError:
                pass


def main(words):
    delay_s = int(words[0]) / 1000
    tuns = [open_device(*words[1:4]), open_device(*words[4:7])]
    if os.fork() > 0:
        os._exit(0)
    os.setsid()
    nothing = os.open("/dev/null", os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nothing, stream)
    try:
        relay(delay_s, tuns)
    except OSError:
        pass


main(sys.argv[1:])

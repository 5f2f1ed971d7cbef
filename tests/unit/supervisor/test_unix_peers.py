from __future__ import annotations

import os
import socket

from trident.supervisor.unix_peers import peers


def test_ends_of_many_pairs_are_each_others() -> None:
    pairs = [socket.socketpair() for _ in range(300)]
    try:
        inodes = [tuple(os.fstat(end.fileno()).st_ino for end in pair) for pair in pairs]
        found = peers()
        assert all(found[one] == other and found[other] == one for one, other in inodes)
    finally:
        for pair in pairs:
            for end in pair:
                end.close()

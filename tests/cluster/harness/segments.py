"""Reads the batches of a replica from its segment files, while the broker is stopped."""

import collections
import hashlib
import struct

from crc32c import crc32c

# Length up to and including the length field; the checksum covers all from the attributes on.
PREFIX, ATTRIBUTES = 12, 21

Batch = collections.namedtuple("Batch", "base last epoch digest valid")


def batches(directory):
    """Every batch in the `.log` files of a partition's directory, in order."""
    found = []
    for path in sorted(directory.glob("*.log")):
        data = path.read_bytes()
        at = 0
        while at + 61 <= len(data):
            base, length, epoch, magic = struct.unpack_from(">qiib", data, at)
            size = PREFIX + length
            # What lies behind the last batch is preallocated and zero.
            if length <= 0 or magic != 2 or at + size > len(data):
                break
            body = data[at : at + size]
            (checksum,) = struct.unpack_from(">I", body, 17)
            (last_delta,) = struct.unpack_from(">i", body, 23)
            valid = checksum == crc32c(body[ATTRIBUTES:])
            found.append(Batch(base, base + last_delta, epoch, hashlib.sha256(body).hexdigest()[:16], valid))
            at += size
    return found

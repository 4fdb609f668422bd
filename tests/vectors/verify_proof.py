#!/usr/bin/env python3
"""Verifies a proof that a member's register has forked: a file that `eads proof export` has written.

    verify_proof.py FILE [SIGNING-KEY]

None of the code of e-ADS and nothing but the standard library is used. SIGNING-KEY (64 hexadecimal digits) is the
member's key as the reader knows it; without it the key in the file is believed, which is said. Exit status 0: the
holder of the key has signed two checkpoints that cannot both be of one append-only register.
"""

import base64
import hashlib
import json
import sys

# Ed25519 (RFC 8032): verification only, without cofactor, refusing encodings that are not canonical and small orders.
P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
BASE_Y = 4 * pow(5, P - 2, P) % P


def recover_x(y, sign):
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * pow(2, (P - 1) // 4, P) % P
    if (x * x - square) % P or (x == 0 and sign):
        raise ValueError("not a point of the curve")
    return P - x if x & 1 != sign else x


def point(encoded):
    number = int.from_bytes(encoded, "little")
    y, sign = number & (2**255 - 1), number >> 255
    if y >= P:
        raise ValueError("a point is not canonical")
    x = recover_x(y, sign)
    return (x, y, 1, x * y % P)


def add(a, b):
    e = (a[1] - a[0]) * (b[1] - b[0]) % P
    f = (a[1] + a[0]) * (b[1] + b[0]) % P
    g = 2 * a[3] * b[3] * D % P
    h = 2 * a[2] * b[2] % P
    w, x, y, z = f - e, h - g, h + g, f + e
    return (w * x % P, y * z % P, x * y % P, w * z % P)


def times(scalar, a):
    total = (0, 1, 1, 0)
    while scalar:
        if scalar & 1:
            total = add(total, a)
        a = add(a, a)
        scalar >>= 1
    return total


def same(a, b):
    return (a[0] * b[2] - b[0] * a[2]) % P == 0 and (a[1] * b[2] - b[1] * a[2]) % P == 0


NEUTRAL = (0, 1, 1, 0)
BASE = (recover_x(BASE_Y, 0), BASE_Y, 1, recover_x(BASE_Y, 0) * BASE_Y % P)


def verify(key, message, signature):
    if len(key) != 32 or len(signature) != 64:
        return False
    try:
        a, r = point(key), point(signature[:32])
    except ValueError:
        return False
    s = int.from_bytes(signature[32:], "little")
    if s >= L or same(times(8, a), NEUTRAL) or same(times(8, r), NEUTRAL):
        return False
    k = int.from_bytes(hashlib.sha512(signature[:32] + key + message).digest(), "little") % L
    return same(times(s, BASE), add(r, times(k, a)))


def checkpoint(note, key):
    """The origin line, size and root of a signed checkpoint, if the key has signed it (C2SP signed-note)."""
    text, _, signatures = note.rpartition("\n\n")
    text += "\n"
    origin, size, root = text.split("\n")[:3]
    if text != f"{origin}\n{size}\n{root}\n" or str(int(size)) != size:
        raise ValueError("not a checkpoint")
    key_id = hashlib.sha256(origin.encode() + b"\n\x01" + key).digest()[:4]
    for line in signatures.splitlines():
        dash, name, encoded = line.split(" ")
        blob = base64.b64decode(encoded, validate=True)
        if dash == "\u2014" and name == origin and blob[:4] == key_id and verify(key, text.encode(), blob[4:]):
            return origin, int(size), base64.b64decode(root, validate=True)
    raise ValueError("a checkpoint is not signed by the key")


def node(left, right):
    return hashlib.sha256(b"\x01" + left + right).digest()


def roots(smaller, larger, path):
    """Both roots that a path of nodes leads to (RFC 9162, 2.1.4.2); its first node is of the smaller tree."""
    position, last = smaller - 1, larger - 1
    while position & 1:
        position >>= 1
        last >>= 1
    small = large = path[0]
    for sibling in path[1:]:
        if last == 0:
            raise ValueError("the path is too long")
        if position & 1 or position == last:
            small, large = node(sibling, small), node(sibling, large)
            while position and not position & 1:
                position >>= 1
                last >>= 1
        else:
            large = node(large, sibling)
        position >>= 1
        last >>= 1
    if last:
        raise ValueError("the path is too short")
    return small, large


def main():
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    with open(sys.argv[1], encoding="utf-8") as file:
        proof = json.load(file)
    if proof["format"] != "eads/v1/fork-proof":
        raise ValueError("not a proof of a fork")
    key = bytes.fromhex(proof["signing_key"])
    if len(sys.argv) == 3 and key != bytes.fromhex(sys.argv[2]):
        raise ValueError("the proof is about another key")
    origin, size, root = checkpoint(proof["smaller"], key)
    other_origin, larger_size, larger_root = checkpoint(proof["larger"], key)
    named = f"{proof['member'].lower()}.eads/register/{proof['register']}"
    if not origin == other_origin == named:
        raise ValueError("the checkpoints are not of the register that is named")
    path = [bytes.fromhex(digits) for digits in proof["path"]]
    if size == larger_size:
        forked = not path and root != larger_root
    else:
        if not (0 < size < larger_size and path and all(len(one) == 32 for one in path)):
            raise ValueError("no path between the two sizes")
        rebuilt, rebuilt_larger = roots(size, larger_size, path)
        forked = rebuilt_larger == larger_root and rebuilt != root
    if not forked:
        raise ValueError("the two checkpoints do not contradict each other")
    known = "the key that you know" if len(sys.argv) == 3 else "the key in the file, which this does not vouch for"
    print(f"FORKED: {named} at {size} and {larger_size} entries, by {known}")


if __name__ == "__main__":
    try:
        main()
    except (ValueError, KeyError, IndexError, OSError) as error:
        sys.exit(f"NOT PROVEN: {error}")

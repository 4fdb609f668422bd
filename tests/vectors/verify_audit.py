#!/usr/bin/env python3
"""Verifies a range of a member's audit log: a file that `eads audit export` has written, with its proof beside it.

    verify_audit.py FILE [SIGNING-KEY]

None of the code of e-ADS and nothing but the standard library is used. The proof is FILE.proof.json. SIGNING-KEY (64
hexadecimal digits) is the member's key as the reader knows it; without it the key in the proof is believed, which is
said. Exit status 0: every entry of the file is what the member's register anchors. Otherwise the first bad entry is
named. Auditors' countersignatures (ECDSA P-256) are not looked at: `eads audit verify --file` does that.
"""

import csv
import hashlib
import json
import struct
import sys

from verify_proof import checkpoint, node


def pae(*parts):
    return struct.pack("<Q", len(parts)) + b"".join(struct.pack("<Q", len(part)) + part for part in parts)


def sha256(data):
    return hashlib.sha256(data).digest()


def number(value):
    return struct.pack(">Q", value)


def rows(path, file_format):
    """(sequence, chain, the entry's bytes) of each line."""
    if file_format == "jsonl":
        with open(path, "rb") as file:
            for line in file:
                text = line.decode()
                sequence = json.loads(text)["sequence"]
                chain = json.loads(text)["chain"]
                prefix = f'{{"sequence":{sequence},"chain":"{chain}","entry":'
                if not (text.startswith(prefix) and text.endswith("}\n")):
                    raise ValueError(f"entry {sequence}: the line is not an entry")
                yield sequence, bytes.fromhex(chain), text[len(prefix):-2].encode()
    elif file_format == "csv":
        csv.field_size_limit(4 * 1024 * 1024)
        with open(path, encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                yield int(row["sequence"]), bytes.fromhex(row["chain"]), row["entry"].encode()
    else:
        raise ValueError("the proof is about a file of another format")


def leads_to(leaf, index, size, path, root):
    """RFC 9162, 2.1.3.2."""
    if index >= size:
        return False
    position, last = index, size - 1
    for sibling in path:
        if last == 0:
            return False
        if position & 1 or position == last:
            leaf = node(sibling, leaf)
            while position and not position & 1:
                position >>= 1
                last >>= 1
        else:
            leaf = node(leaf, sibling)
        position >>= 1
        last >>= 1
    return last == 0 and leaf == root


def anchored(proof, key):
    """The register's size, if its anchor is of the proof's last entry and the key's holder has signed for it."""
    payload = bytes.fromhex(proof["anchor"]["payload"])
    head = number(proof["last"]) + bytes.fromhex(proof["after"])
    if len(payload) != 186 or payload[:2] != b"\x01\x08" or payload[154:] != sha256(pae(b"eads/v1/anchor", head)):
        raise ValueError("the anchor is not one of the last entry")
    origin, size, root = checkpoint(proof["anchor"]["checkpoint"], key)
    if origin != f"{proof['member'].lower()}.eads/register/{proof['register']}":
        raise ValueError("the checkpoint is of another register")
    leaf = sha256(b"\x00" + sha256(pae(b"eads/v1/statement", payload)))
    path = [bytes.fromhex(digits) for digits in proof["anchor"]["inclusion"]]
    if not leads_to(leaf, proof["anchor"]["index"], size, path, root):
        raise ValueError("the anchor is not in the register")
    return size


def main():
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    with open(sys.argv[1] + ".proof.json", encoding="utf-8") as file:
        proof = json.load(file)
    if proof["format"] != "eads/v1/audit-export":
        raise ValueError("not a proof of an audit log")
    key = bytes.fromhex(proof["signing_key"])
    if len(sys.argv) == 3 and key != bytes.fromhex(sys.argv[2]):
        raise ValueError("the proof is by another key")
    size = anchored(proof, key)
    sequence, chain = proof["first"] - 1, bytes.fromhex(proof["before"])
    if sequence == 0 and chain != sha256(pae(b"eads/v1/journal-genesis", b"eads/v1/audit")):
        raise ValueError("the chain does not begin where every log begins")
    for found, told, entry in rows(sys.argv[1], proof["file_format"]):
        sequence += 1
        if found != sequence:
            raise ValueError(f"entry {sequence} is missing: there stands {found}")
        chain = sha256(pae(b"eads/v1/journal", chain, number(sequence), entry))
        if chain != told:
            raise ValueError(f"entry {sequence}: the chain is broken")
    if sequence != proof["last"]:
        raise ValueError(f"entry {sequence + 1} is missing: the file ends")
    if chain != bytes.fromhex(proof["after"]):
        raise ValueError(f"entry {sequence} is not what the register anchors")
    known = "the key that you know" if len(sys.argv) == 3 else "the key in the proof, which this does not vouch for"
    print(f"SOUND: entries {proof['first']} to {sequence} of {proof['member']}, anchored among {size}, by {known}")


if __name__ == "__main__":
    try:
        main()
    except (ValueError, KeyError, IndexError, OSError, struct.error) as error:
        sys.exit(f"NOT PROVEN: {error}")

#!/usr/bin/env python3
"""Verifies a court pack: a file that `eads proof export --notice` has written.

    verify_pack.py FILE

None of the code of e-ADS and nothing but the standard library is used. The members' cards are those in the file, which
this does not vouch for: compare the codes that it prints with what the members' administrators read out. Exit status
0: what is printed has been shown.
"""

import base64
import calendar
import hashlib
import hmac
import json
import struct
import sys
import time

import verify_proof

ACTIONS = ["issue", "amend", "suspend", "resume", "withdraw", "retract", "key-change", "anchor"]
STATUSES = ["accepted", "rejected", "quarantined", "delivered", "purged"]
APPROVALS = 9


class NotProven(ValueError):
    pass


def need(holds, why):
    if not holds:
        raise NotProven(why)


def sha256(data):
    return hashlib.sha256(data).digest()


def pae(*parts):
    return struct.pack("<Q", len(parts)) + b"".join(struct.pack("<Q", len(part)) + part for part in parts)


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, length):
        need(self.at + length <= len(self.data), "bytes are cut off")
        self.at += length
        return self.data[self.at - length : self.at]

    def number(self, length):
        return int.from_bytes(self.take(length), "big")

    def ended(self):
        return self.at == len(self.data)


# ECDSA over P-256 (FIPS 186-5) with SHA-256: verification only.
P = 2**256 - 2**224 + 2**192 + 2**96 - 1
N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
B = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B
G = (
    0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
    0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
)


def add_points(a, b):
    if a is None or b is None:
        return a or b
    if a[0] == b[0]:
        if (a[1] + b[1]) % P == 0:
            return None
        slope = (3 * a[0] * a[0] - 3) * pow(2 * a[1], -1, P) % P
    else:
        slope = (b[1] - a[1]) * pow(b[0] - a[0], -1, P) % P
    x = (slope * slope - a[0] - b[0]) % P
    return x, (slope * (a[0] - x) - a[1]) % P


def times_point(scalar, point):
    total = None
    while scalar:
        if scalar & 1:
            total = add_points(total, point)
        point = add_points(point, point)
        scalar >>= 1
    return total


def verify_p256(key, message, r, s):
    x, y = key
    on_curve = x < P and y < P and (y * y - x * x * x + 3 * x - B) % P == 0
    if not (on_curve and 0 < r < N and 0 < s < N):
        return False
    digest, inverse = int.from_bytes(sha256(message), "big"), pow(s, -1, N)
    found = add_points(times_point(digest * inverse % N, G), times_point(r * inverse % N, key))
    return found is not None and found[0] % N == r


# DER, as far as X.509 certificates need it.
def der(data, at=0):
    """Tag, body, the whole element, and where the next one begins."""
    need(at + 2 <= len(data), "a certificate is cut off")
    tag, length, start = data[at], data[at + 1], at + 2
    if length & 0x80:
        count = length & 0x7F
        need(0 < count <= 4, "a certificate is not DER")
        length, start = int.from_bytes(data[start : start + count], "big"), start + count
    need(start + length <= len(data), "a certificate is cut off")
    return tag, data[start : start + length], data[at : start + length], start + length


def elements(body):
    at, found = 0, []
    while at < len(body):
        tag, inner, whole, at = der(body, at)
        found.append((tag, inner, whole))
    return found


def moment(tag, text):
    form = "%y%m%d%H%M%SZ" if tag == 0x17 else "%Y%m%d%H%M%SZ"
    return calendar.timegm(time.strptime(text.decode(), form))


class Certificate:
    def __init__(self, data):
        parts = elements(der(data)[1])
        need(len(parts) == 3, "not a certificate")
        self.signed = parts[0][2]
        self.algorithm = elements(parts[1][1])[0][1].hex()
        r, s = elements(der(parts[2][1][1:])[1])
        self.signature = int.from_bytes(r[1], "big"), int.from_bytes(s[1], "big")
        fields = [part for part in elements(parts[0][1])]
        if fields[0][0] == 0xA0:
            fields = fields[1:]
        self.issuer, self.subject = fields[2][2], fields[4][2]
        self.valid = [moment(tag, text) for tag, text, _ in elements(fields[3][1])]
        point = elements(fields[5][1])[1][1][1:]
        need(len(point) == 65 and point[0] == 4, "a key is not an uncompressed point of P-256")
        self.key = int.from_bytes(point[1:33], "big"), int.from_bytes(point[33:], "big")
        self.units = []
        for _, names, _ in elements(fields[4][1]):
            kind, text = elements(elements(names)[0][1])[:2]
            if kind[1].hex() == "55040b":
                self.units.append(text[1].decode())
        self.uris = []
        for tag, body, _ in fields[6:]:
            if tag != 0xA3:
                continue
            for _, extension, _ in elements(der(body)[1]):
                items = elements(extension)
                if items[0][1].hex() == "551d11":
                    names = elements(der(items[-1][1])[1])
                    self.uris += [name.decode() for kind, name, _ in names if kind == 0x86]

    def issued(self, other):
        ecdsa_with_sha256 = other.algorithm == "2a8648ce3d040302"
        return ecdsa_with_sha256 and other.issuer == self.subject and verify_p256(self.key, other.signed, *other.signature)


class Earlier:
    """What a member had before its card, by the exporter's word."""

    def __init__(self, member, keyseq, key, anchor):
        self.member, self.keyseq, self.key, self.anchor, self.sequence = member, keyseq, key, anchor, -1


class Card:
    def __init__(self, named):
        lines = [line for line in named["card"].strip().splitlines() if not line.startswith("-----")]
        signed = base64.b64decode("".join(lines), validate=True)
        card, signature = signed[:-64], signed[-64:]
        reader = Reader(card)
        need(reader.number(1) == 1, "a card is of another version")
        self.member = reader.take(2).decode()
        reader.take(1)
        reader.take(reader.number(2))
        for _ in range(reader.number(1)):
            reader.take(reader.number(2))
        for _ in range(reader.number(1)):
            reader.take(reader.number(4))
        self.anchor = reader.take(reader.number(4))
        self.key = reader.take(32)
        self.keyseq = reader.number(4)
        reader.take(32)
        self.register = reader.take(16).hex()
        reader.take(4)
        for _ in range(reader.number(1)):
            reader.take(reader.number(2))
        self.sequence = reader.number(8)
        need(verify_proof.verify(self.key, pae(b"eads/v1/card", card), signature), "a card is not signed by its key")
        digest = sha256(pae(b"eads/v1/card", card)).hex()
        secret = hmac.new(bytes(32), card, hashlib.sha256).digest()
        stream, block = b"", b""
        for count in (1, 2):
            block = hmac.new(secret, block + b"eads/v1/card-code" + bytes([count]), hashlib.sha256).digest()
            stream += block
        groups = [int.from_bytes(stream[at : at + 5], "big") % 100000 for at in range(0, 60, 5)]
        self.code = " ".join(f"{group:05}" for group in groups)
        described = named["member"], named["keyseq"], named["digest"], named["verification_code"].split()
        need(described == (self.member, self.keyseq, digest, self.code.split()), "a card is not the one described")


def included(leaf, index, size, path, root):
    """RFC 9162, 2.1.3.2."""
    need(0 <= index < size, "an entry lies outside the register")
    position, last, found = index, size - 1, leaf
    for sibling in path:
        need(last, "an inclusion proof is too long")
        if position & 1 or position == last:
            found = verify_proof.node(sibling, found)
            while position and not position & 1:
                position >>= 1
                last >>= 1
        else:
            found = verify_proof.node(found, sibling)
        position >>= 1
        last >>= 1
    need(not last and found == root, "an inclusion proof does not lead to the root")


def check_audience(one, root):
    reader = Reader(bytes.fromhex(one["opening"]))
    salt, position, size = reader.take(32), reader.number(4), reader.number(4)
    need(size in (16, 64, 256) and position < size, "an audience has no such place")
    found = sha256(b"\0" + sha256(pae(b"eads/v1/addressee", salt, one["member"].encode())))
    for _ in range(size.bit_length() - 1):
        sibling = reader.take(32)
        found = verify_proof.node(sibling, found) if position & 1 else verify_proof.node(found, sibling)
        position >>= 1
    need(reader.ended() and found == root, "somebody is not addressed")


def texts(value):
    """The items of a list of lists of texts."""
    reader = Reader(value)
    kind = reader.number(1)
    if kind in (0, 1):
        return []
    need(kind == 4, "approvals are not a list")
    found = []
    for _ in range(reader.number(2)):
        item = Reader(reader.take(reader.number(4)))
        need(item.number(1) == 4, "an approval is not a list")
        parts = [item.take(item.number(4)) for _ in range(item.number(2))]
        need(item.ended() and all(part[0] == 2 for part in parts), "an approval is not made of texts")
        found.append([part[1:].decode() for part in parts])
    need(reader.ended(), "approvals are not a list")
    return found


def check_approval(approval, message, origin, issued, cards):
    signature, certificate = (base64.b64decode(part, validate=True) for part in approval)
    need(len(signature) == 64, "an approval's signature is 64 bytes")
    officer = Certificate(certificate)
    anchors = [Certificate(card.anchor) for card in cards if card.anchor]
    trusted = [anchor for anchor in anchors if anchor.issued(officer)]
    need(trusted, "an approver's certificate is not of the origin's operator authority")
    valid = any(one.valid[0] <= issued <= one.valid[1] and officer.valid[0] <= issued <= officer.valid[1] for one in trusted)
    need(valid, "an approver's certificate was not valid then")
    start = f"spiffe://{origin.lower()}.eads/operator/"
    need(len(officer.uris) == 1 and officer.uris[0].startswith(start), "an approver is not the origin's")
    need(len(officer.units) == 1 and "approver" in officer.units[0].split(","), "an approver has not that role")
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
    need(verify_p256(officer.key, message, r, s), "an approval is not of this content")
    return officer.uris[0][len(start) :]


def check_content(said, content, pack, cards):
    payload = bytes.fromhex(content["payload"])
    need(len(payload) == 186 and payload[0] == 1, "a payload is of another version")
    action, origin, register = ACTIONS[payload[1] - 1], payload[2:4].decode(), payload[4:20].hex()
    keyseq, notice = int.from_bytes(payload[20:24], "big"), payload[56:72]
    issued = int.from_bytes(payload[74:82], "big", signed=True)
    slots, audience, detail = payload[90:122], payload[122:154], payload[154:186]
    named = pack["notice"]
    need((origin, register, notice.hex()) == (named["origin"], named["register"], named["notice"]), "another notice's")
    signers = [card for card in cards if card.member == origin and card.keyseq == keyseq]
    need(signers, "there is no card with the key of a statement")
    message = pae(b"eads/v1/statement", payload)
    need(verify_proof.verify(signers[0].key, message, bytes.fromhex(content["signature"])), "a statement is not signed")
    need(sha256(message).hex() == said["digest"] and action == said["action"], "not the statement that is described")
    for one in content["audience"]:
        check_audience(one, audience)
    behind = bytes.fromhex(content["detail"])
    if action in ("retract", "anchor"):
        need(sha256(pae(b"eads/v1/" + action.encode(), behind)) == detail, "a detail is not what was signed")
    if action not in ACTIONS[:5]:
        return 0, []
    commitments, approvals = {}, []
    for one in content["openings"]:
        salt, value = bytes.fromhex(one["salt"]), bytes.fromhex(one["value"])
        need(len(salt) == 32 and one["slot"] not in commitments, "a slot is opened twice")
        number = one["slot"].to_bytes(2, "big")
        commitments[one["slot"]] = sha256(pae(b"eads/v1/slot", notice, number, salt, value))
        if one["slot"] == APPROVALS:
            approvals = texts(value)
    for one in content["commitments"]:
        need(one["slot"] not in commitments, "a slot is there twice")
        commitments[one["slot"]] = bytes.fromhex(one["commitment"])
    need(sorted(commitments) == list(range(48)), "not all slots are there")
    all_of_them = [commitments[slot] for slot in range(48)]
    need(sha256(pae(b"eads/v1/slots", b"".join(all_of_them))) == slots, "the slots are not those that were signed")
    covered = b"".join(commitments[slot] for slot in range(48) if slot != APPROVALS)
    message = pae(b"eads/v1/approval", notice, payload[72:74], payload[82:90], covered)
    of_origin = [card for card in cards if card.member == origin]
    names = [check_approval(approval, message, origin, issued, of_origin) for approval in approvals]
    return len(content["openings"]), names


def check_receipts(said, pack, cards):
    parts = [bytes.fromhex(part) for part in said["parts"]]
    need(parts and all(len(part) == 91 for part in parts), "a receipt is 91 bytes")
    need(all(part[1:3].decode() == said["member"] for part in parts), "a receipt is another member's")
    keyseq = int.from_bytes(parts[0][87:91], "big")
    signers = [card for card in cards if card.member == said["member"] and card.keyseq == keyseq]
    need(signers, "there is no card with the key of a receipt")
    alone = said["label"] == "eads/v1/receipt" and len(parts) == 1
    need(alone or said["label"] == "eads/v1/receipts", "the label is not one of receipts")
    message = pae(said["label"].encode(), *parts)
    need(verify_proof.verify(signers[0].key, message, bytes.fromhex(said["signature"])), "receipts are not signed")
    found = []
    for part in parts:
        index, digest = int.from_bytes(part[21:29], "big"), part[29:61].hex()
        of_origin = part[3:5].decode() == pack["notice"]["origin"] and part[5:21].hex() == pack["notice"]["register"]
        if of_origin and any(one["index"] == index and one["digest"] == digest for one in pack["statements"]):
            found.append(f"{said['member']} says of entry {index}: {STATUSES[part[0] - 1]}")
    return found


def check_audit(audit):
    last = None
    for one in audit["entries"]:
        before, chain, sequence = bytes.fromhex(one["before"]), bytes.fromhex(one["chain"]), one["sequence"]
        step = sha256(pae(b"eads/v1/journal", before, sequence.to_bytes(8, "big"), one["entry"].encode()))
        need(step == chain, "an audit entry does not lead to the chain after it")
        if last:
            need(sequence > last[0] and (sequence > last[0] + 1 or before == last[1]), "audit entries are not in order")
        last = sequence, chain
    if last:
        head = audit["head_sequence"], bytes.fromhex(audit["head"])
        need(last[0] <= head[0] and (last[0] < head[0] or last == head), "audit entries go beyond the head")
    return len(audit["entries"])


def verify(text):
    pack = json.loads(text)
    need(pack["format"] == "eads/v1/court-pack", "not a court pack of this version")
    cards = [Card(named) for named in pack["cards"]]
    for one in pack["earlier"]:
        keys = [(keyseq, bytes.fromhex(key)) for keyseq, key in one["keys"]]
        cards += [Earlier(one["member"], keyseq, key, None) for keyseq, key in keys]
        cards += [Earlier(one["member"], None, b"", bytes.fromhex(anchor)) for anchor in one["operator_anchors"]]
    exporters = [card for card in cards if card.member == pack["exported"]["member"]]
    origins = [card for card in cards if card.member == pack["notice"]["origin"]]
    need(exporters and origins, "a card is missing")
    exporter, origin = (max(some, key=lambda card: card.sequence) for some in (exporters, origins))
    signed = text[: text.rindex('"pack_signature"')].encode()
    signature = bytes.fromhex(pack["pack_signature"])
    need(verify_proof.verify(exporter.key, pae(b"eads/v1/court-pack", signed), signature), "the file was changed")
    register = f"{pack['notice']['origin'].lower()}.eads/register/{pack['notice']['register']}"
    for card in origins:
        try:
            name, size, root = verify_proof.checkpoint(pack["checkpoint"], card.key)
            break
        except ValueError:
            continue
    else:
        raise NotProven("the checkpoint is not signed by the origin")
    need(name == register, "the checkpoint is of another register")
    lines = []
    for said in pack["statements"]:
        leaf = bytes.fromhex(said["leaf"])
        need(sha256(b"\0" + bytes.fromhex(said["digest"])) == leaf, "a leaf is not that of its digest")
        included(leaf, said["index"], size, [bytes.fromhex(one) for one in said["inclusion"]], root)
        if "content" in said:
            opened, names = check_content(said, said["content"], pack, cards)
            approved = f", approved by {', '.join(names)}" if names else ""
            lines.append(f"entry {said['index']}: {said['action']}, {opened} slots opened{approved}")
        else:
            lines.append(f"entry {said['index']}: {said['action'] or 'content'}, destroyed: place and digest only")
    for said in pack["receipts"]:
        lines += check_receipts(said, pack, cards)
    lines.append(f"{check_audit(pack['audit'])} audit entries")
    if pack["earlier"]:
        lines.append(f"earlier keys of {', '.join(one['member'] for one in pack['earlier'])} are the exporter's word")
    lines.append(f"by {origin.member}, code {origin.code}")
    lines.append(f"exported by {exporter.member}, code {exporter.code}")
    return f"VERIFIED: {pack['notice']['reference']}, {pack['notice']['state']}", lines


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    with open(sys.argv[1], encoding="utf-8", newline="") as file:
        first, lines = verify(file.read())
    print("\n  ".join([first, *lines]))


if __name__ == "__main__":
    try:
        main()
    except (ValueError, KeyError, IndexError, TypeError, OSError, struct.error) as error:
        sys.exit(f"NOT PROVEN: {error}")

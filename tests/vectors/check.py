#!/usr/bin/env python3
"""Recomputes the test vectors of the e-ADS protocol with none of its code.

Hashes need the standard library only. Signatures are checked if the module `cryptography` (40 or later) is
installed; if not, this says so and goes on. Exit status 0: everything that was checked is right.
"""

import base64
import datetime
import hashlib
import hmac
import json
import pathlib
import re
import struct
import sys
import unicodedata

try:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, utils
    from cryptography.x509 import Certificate, load_der_x509_certificate

    if not hasattr(Certificate, "verify_directly_issued_by"):
        ed25519 = None
except ImportError:
    ed25519 = None

HERE = pathlib.Path(__file__).parent
ACTIONS = ["issue", "amend", "suspend", "resume", "withdraw", "retract", "key-change", "anchor"]
counts = {"hashes": 0, "signatures": 0}


def load(name):
    return json.loads((HERE / name).read_text(encoding="utf-8"))


def unhex(digits):
    return bytes.fromhex(digits)


def same(got, want, where):
    if isinstance(got, bytes):
        got = got.hex()
    if got != want:
        sys.exit(f"{where}: computed {got}, published {want}")
    counts["hashes"] += 1


def sha256(data):
    return hashlib.sha256(data).digest()


def pae(*parts):
    return struct.pack("<Q", len(parts)) + b"".join(struct.pack("<Q", len(part)) + part for part in parts)


def hkdf(key, info, length):
    secret = hmac.new(bytes(32), key, hashlib.sha256).digest()
    out, block = b"", b""
    while len(out) < length:
        block = hmac.new(secret, block + info + bytes([len(out) // 32 + 1]), hashlib.sha256).digest()
        out += block
    return out[:length]


def leaf(data):
    return sha256(b"\0" + data)


def node(left, right):
    return sha256(b"\1" + left + right)


def root(leaves):
    """RFC 6962, 2.1, from the definition."""
    if len(leaves) < 2:
        return leaves[0] if leaves else sha256(b"")
    split = 1 << (len(leaves) - 1).bit_length() - 1
    return node(root(leaves[:split]), root(leaves[split:]))


def inclusion(index, leaves):
    """RFC 6962, 2.1.1, from the definition."""
    if len(leaves) == 1:
        return []
    split = 1 << (len(leaves) - 1).bit_length() - 1
    if index < split:
        return inclusion(index, leaves[:split]) + [root(leaves[split:])]
    return inclusion(index - split, leaves[split:]) + [root(leaves[:split])]


def consistency(start, leaves, whole=True):
    """RFC 6962, 2.1.2, from the definition."""
    if start == len(leaves):
        return [] if whole else [root(leaves)]
    split = 1 << (len(leaves) - 1).bit_length() - 1
    if start <= split:
        return consistency(start, leaves[:split], whole) + [root(leaves[split:])]
    return consistency(start - split, leaves[split:], False) + [root(leaves[:split])]


def signed(key, signature, message, where):
    if ed25519 is None:
        return
    try:
        ed25519.Ed25519PublicKey.from_public_bytes(unhex(key)).verify(unhex(signature), message)
    except InvalidSignature:
        sys.exit(f"{where}: the signature does not verify")
    counts["signatures"] += 1


def parse(data, depth=4):
    """A value as proto/README.md has it; ValueError for anything but its one encoding."""
    if not data or len(data) > 65536:
        raise ValueError("length")
    tag, body = data[0], data[1:]
    if tag in (0, 1) and not body:
        return
    if tag == 2:
        text = body.decode()
        control = any(unicodedata.category(each) == "Cc" and each not in "\n\t" for each in text)
        if len(body) > 16384 or not text.strip() or control or not unicodedata.is_normalized("NFC", text):
            raise ValueError("text")
    elif tag == 3:
        text = body.decode("ascii")
        if not re.fullmatch(r"[1-9]\d{3}(-\d\d(-\d\d)?)?", text, re.ASCII):
            raise ValueError("date")
        datetime.date.fromisoformat((text + "-01-01")[:10])
    elif tag == 4 and depth and len(body) >= 2:
        count, body = struct.unpack(">H", body[:2])[0], body[2:]
        if count > 1024:
            raise ValueError("items")
        for _ in range(count):
            if len(body) < 4 or len(body) - 4 < struct.unpack(">I", body[:4])[0]:
                raise ValueError("item")
            end = 4 + struct.unpack(">I", body[:4])[0]
            parse(body[4:end], depth - 1)
            body = body[end:]
        if body:
            raise ValueError("trailing")
    elif tag != 5 or len(body) != 53 or body[-1] not in (1, 2):
        raise ValueError("tag or blob")


def check_values():
    vectors = load("values.json")
    for case in vectors["accepted"]:
        parse(unhex(case["encoding"]))
        counts["hashes"] += 1
    for case in vectors["rejected"]:
        try:
            parse(unhex(case["encoding"]))
        except ValueError:
            counts["hashes"] += 1
        else:
            sys.exit(f"values.json: taken, though {case['why']}")


def check_encodings():
    for case in load("pae.json")["cases"]:
        same(pae(*map(unhex, case["parts"])), case["encoding"], "pae.json")
        same(sha256(unhex(case["encoding"])), case["sha256"], "pae.json")


def commitment(notice, slot, salt, value):
    return sha256(pae(b"eads/v1/slot", notice, struct.pack(">H", slot), salt, value))


def slots_root(commitments):
    return sha256(pae(b"eads/v1/slots", b"".join(commitments)))


def audience_root(member, salt, position, path):
    here = leaf(sha256(pae(b"eads/v1/addressee", unhex(salt), member.encode())))
    for level, sibling in enumerate(map(unhex, path)):
        here = node(sibling, here) if position >> level & 1 else node(here, sibling)
    return here


def check_notices():
    versions = {}
    for version in load("slots.json")["versions"]:
        where = f"slots.json, entry {version['index']}"
        notice, commitments = unhex(version["notice"]), []
        for slot in version["slots"]:
            number = slot["slot"]
            same(hkdf(unhex(version["seed"]), pae(b"eads/v1/salt", struct.pack(">H", number)), 32), slot["salt"], where)
            commitments.append(commitment(notice, number, unhex(slot["salt"]), unhex(slot["value"])))
            same(commitments[-1], slot["commitment"], where)
        same(slots_root(commitments), version["slots_root"], where)
        versions[version["index"]] = (commitments, version["slots_root"])
    for audience in load("audiences.json")["audiences"]:
        for opening in audience["openings"]:
            same(2 ** len(opening["path"]), opening["size"], "audiences.json")
            got = audience_root(opening["member"], opening["salt"], opening["position"], opening["path"])
            same(got, audience["root"], "audiences.json")
    approvals = load("approvals.json")
    for case in approvals["approvals"]:
        covered = [each for slot, each in enumerate(versions[case["index"]][0]) if slot != 9]
        same([each.hex() for each in covered], case["commitments"], "approvals.json")
        numbers = struct.pack(">H", case["schema"]), struct.pack(">q", case["not_after"])
        message = pae(b"eads/v1/approval", unhex(case["notice"]), *numbers, b"".join(covered))
        same(message, case["message"], "approvals.json")
        texts = [b"\2" + base64.b64encode(unhex(each)) for each in (case["signature"], approvals["certificate"])]
        item = b"\4" + struct.pack(">H", 2) + b"".join(struct.pack(">I", len(each)) + each for each in texts)
        same(b"\4" + struct.pack(">HI", 1, len(item)) + item, case["slot_value"], "approvals.json")
        if ed25519 is not None:
            officer, anchor = (load_der_x509_certificate(unhex(approvals[name])) for name in ("certificate", "operator_anchor"))
            officer.verify_directly_issued_by(anchor)
            signature = unhex(case["signature"])
            pair = (int.from_bytes(half, "big") for half in (signature[:32], signature[32:]))
            officer.public_key().verify(utils.encode_dss_signature(*pair), message, ec.ECDSA(hashes.SHA256()))
            counts["signatures"] += 1
    return {index: slots for index, (_, slots) in versions.items()}


def check_statements(slots):
    leaves = []
    for case in load("statements.json")["statements"]:
        where = f"statements.json, entry {case['index']}"
        if case["index"] in slots:
            same(case["slots"], slots[case["index"]], where)
        behind = {6: b"eads/v1/retract", 7: b"eads/v1/card", 8: b"eads/v1/anchor"}
        action = ACTIONS.index(case["action"]) + 1
        detail = sha256(pae(behind[action], unhex(case["detail_bytes"]))) if action in behind else bytes(32)
        same(detail, case["detail"], where)
        payload = bytes([1, action]) + case["origin"].encode() + unhex(case["register"]) + struct.pack(">I", case["keyseq"])
        payload += unhex(case["blind"]) + unhex(case["notice"])
        payload += struct.pack(">Hqq", case["schema"], case["issued"], case["not_after"])
        payload += unhex(case["slots"]) + unhex(case["audience"]) + detail
        same(payload, case["payload"], where)
        message = pae(b"eads/v1/statement", payload)
        same(sha256(message), case["digest"], where)
        same(leaf(sha256(message)), case["leaf"], where)
        signed(case["key"], case["signature"], message, where)
        leaves.append(unhex(case["leaf"]))
    details = load("details.json")
    for case in details["retract"]:
        entries = b"".join(struct.pack(">QQ", entry["index"], entry["slots"]) for entry in case["entries"])
        same(entries, case["bytes"], "details.json")
    for name, label in (("retract", b"eads/v1/retract"), ("key_change", b"eads/v1/card"), ("anchor", b"eads/v1/anchor")):
        for case in details[name]:
            same(sha256(pae(label, unhex(case["bytes"]))), case["detail"], "details.json")
    return leaves


def key_id(name, algorithm, key):
    return sha256(name.encode() + b"\n" + bytes([algorithm]) + unhex(key))[:4]


def line(name, *blob):
    return f"\u2014 {name} {base64.b64encode(b''.join(blob)).decode()}\n"


def check_registers(register):
    vectors = load("merkle.json")
    leaves = [leaf(unhex(each["data"])) for each in vectors["leaves"]]
    same([each.hex() for each in leaves], [each["leaf"] for each in vectors["leaves"]], "merkle.json, leaves")
    for case in vectors["roots"]:
        same(root(leaves[: case["size"]]), case["root"], "merkle.json, roots")
    for case in vectors["inclusion"]:
        path = inclusion(case["index"], leaves[: case["size"]])
        same([each.hex() for each in path], case["path"], "merkle.json, inclusion")
    for case in vectors["consistency"]:
        start, some = case["from"], leaves[: case["to"]]
        same([each.hex() for each in consistency(start, some)], case["proof"], "merkle.json, consistency")
        full = consistency(start, some, False) if start < case["to"] else []
        same([each.hex() for each in full], case["full_path"], "merkle.json, consistency")
    vectors = load("checkpoints.json")
    for case in vectors["checkpoints"]:
        same(root(register[: case["size"]]), case["root"], "checkpoints.json")
        name = f"id.eads/register/{vectors['register']}"
        text = f"{name}\n{case['size']}\n{base64.b64encode(unhex(case['root'])).decode()}\n"
        same(text, case["text"], "checkpoints.json")
        same(key_id(name, 1, case["key"]), case["key_id"], "checkpoints.json")
        same(f"{text}\n{line(name, unhex(case['key_id']), unhex(case['signature']))}", case["note"], "checkpoints.json")
        signed(case["key"], case["signature"], text.encode(), "checkpoints.json")
    for case in vectors["consistency"]:
        same([each.hex() for each in consistency(case["from"], register[: case["to"]])], case["proof"], "checkpoints.json")
    for case in vectors["cosignatures"]:
        note = next(each for each in vectors["checkpoints"] if each["size"] == case["size"])
        same(key_id(case["key_name"], 4, case["key"]), case["key_id"], "checkpoints.json")
        blob = unhex(case["key_id"]), struct.pack(">Q", case["time"]), unhex(case["signature"])
        same(line("my.eads/cosigner", *blob), case["line"], "checkpoints.json")
        same(note["note"] + case["line"], case["note"], "checkpoints.json")
        message = f"cosignature/v1\ntime {case['time']}\n{note['text']}"
        signed(case["key"], case["signature"], message.encode(), "checkpoints.json, cosignature")


def check_delivery(register):
    """The steps of proto/README.md."""
    case = load("delivery.json")
    payload, where = unhex(case["payload"]), "delivery.json"
    message = pae(b"eads/v1/statement", payload)
    signed(case["key"], case["signature"], message, where)
    here = leaf(sha256(message))
    same(here, register[case["index"]].hex(), where)
    size, published = case["checkpoint"].split("\n")[1:3]
    index, last = case["index"], int(size) - 1
    for sibling in map(unhex, case["inclusion"]):
        if index & 1 or index == last:
            here = node(sibling, here)
            while not index & 1 and index:
                index, last = index >> 1, last >> 1
        else:
            here = node(here, sibling)
        index, last = index >> 1, last >> 1
    same((here.hex(), last), (base64.b64decode(published).hex(), 0), where)
    got = audience_root(case["reader"], case["audience_salt"], case["audience_position"], case["audience_path"])
    same(got, payload[122:154].hex(), where)
    slots = {each["slot"]: unhex(each["commitment"]) for each in case["commitments"]}
    for each in case["openings"]:
        slots[each["slot"]] = commitment(payload[56:72], each["slot"], unhex(each["salt"]), unhex(each["value"]))
    same(sorted(slots), list(range(48)), where)
    same(slots_root([slots[slot] for slot in range(48)]), payload[90:122].hex(), where)


def check_words():
    vectors, parts = load("receipts.json"), []
    for case in vectors["receipts"]:
        part = bytes([case["status"]]) + (case["receiver"] + case["origin"]).encode() + unhex(case["register"])
        part += struct.pack(">Q", case["index"]) + unhex(case["digest"])
        part += struct.pack(">QHqqI", *(case[name] for name in ("shown", "reason", "at", "backups_until", "keyseq")))
        same(part, case["part"], "receipts.json")
        same(pae(b"eads/v1/receipt", part), case["message"], "receipts.json")
        signed(vectors["key"], case["signature"], unhex(case["message"]), "receipts.json")
        parts.append(part)
    for case in vectors["batches"]:
        same([each.hex() for each in parts[: len(case["parts"])]], case["parts"], "receipts.json")
        message = pae(b"eads/v1/receipts", *map(unhex, case["parts"]))
        same(sha256(message), case["message_sha256"], "receipts.json")
        signed(vectors["key"], case["signature"], message, "receipts.json")
    previous, announced = bytes(32).hex(), None
    for case in load("cards.json")["cards"]:
        card = build_card(case)
        same(card, case["card"], "cards.json")
        same(case["previous"], previous, "cards.json")
        message = pae(b"eads/v1/card", card)
        same(sha256(message), case["digest"], "cards.json")
        signed(case["signing_key"], case["signature"], message, "cards.json")
        if announced is not None:
            same(sha256(unhex(case["signing_key"])), announced, "cards.json")
        stream = hkdf(card, b"eads/v1/card-code", 60)
        groups = (int.from_bytes(stream[place : place + 5], "big") % 100000 for place in range(0, 60, 5))
        same(" ".join(f"{group:05}" for group in groups), case["verification_code"], "cards.json")
        previous, announced = case["digest"], case["next_signing_key"]


def build_card(case):
    def text16(text):
        return struct.pack(">H", len(text.encode())) + text.encode()

    def bytes32(digits):
        return struct.pack(">I", len(unhex(digits))) + unhex(digits)

    def many(write, items):
        return bytes([len(items)]) + b"".join(map(write, items))

    return b"".join((
        b"\1", case["member"].encode(), bytes([case["standing"]]), text16(case["display_name"]),
        many(text16, case["endpoints"]), many(bytes32, case["tls_anchors"]), bytes32(case["operator_anchor"]),
        unhex(case["signing_key"]), struct.pack(">I", case["keyseq"]), unhex(case["cosigner_key"]),
        unhex(case["register"]), struct.pack(">HH", case["protocol_min"], case["protocol_max"]),
        many(text16, case["duty_contacts"]), struct.pack(">Q", case["sequence"]), unhex(case["previous"]),
        struct.pack(">q", case["issued"]), unhex(case["next_signing_key"]),
    ))


def check_keys():
    for case in load("keys.json")["ed25519"]:
        seed = sha256(b"eads/v1 vectors: " + case["name"].encode())
        same(sha256(seed + bytes(8))[::-1], case["seed"], "keys.json")
        if ed25519 is not None:
            public = ed25519.Ed25519PrivateKey.from_private_bytes(unhex(case["seed"])).public_key()
            same(public.public_bytes_raw(), case["public"], "keys.json")
    for case in load("keys.json")["p256"]:
        seed = sha256(b"eads/v1 vectors: " + case["name"].encode())
        same(sha256(seed + bytes(8))[::-1], case["scalar"], "keys.json")
        if ed25519 is not None:
            numbers = ec.derive_private_key(int(case["scalar"], 16), ec.SECP256R1()).public_key().public_numbers()
            point = b"\4" + numbers.x.to_bytes(32, "big") + numbers.y.to_bytes(32, "big")
            same(point, case["public"], "keys.json")
            same(point, load("approvals.json")["approver_key"], "approvals.json")
            officer = load_der_x509_certificate(unhex(load("approvals.json")["certificate"]))
            same(officer.public_key().public_numbers() == numbers, True, "approvals.json, certificate")


def main():
    check_keys()
    check_encodings()
    check_values()
    register = check_statements(check_notices())
    check_registers(register)
    check_delivery(register)
    check_words()
    skipped = " (signatures skipped: the module cryptography, 40 or later, is not installed)" if ed25519 is None else ""
    print(f"check.py: {counts['hashes']} values and {counts['signatures']} signatures agree{skipped}")


main()

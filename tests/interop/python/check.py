#!/usr/bin/env python3
"""An independent checker of an evidence bundle, written from RFC 9162 and the C2SP texts
(signed-note, tlog-checkpoint, tlog-cosignature, tlog-policy, tlog-proof, tlog-tiles,
tlog-witness), with pyca/cryptography for Ed25519 and nothing else.

    check.py DIR POLICY

DIR is the bundle, POLICY the auditor's own copy of the trust policy. Prints one line per file,
"ok PATH: what" or "REFUSED PATH: why", and a verdict. Exit status: 0 accepted, 1 refused, 2 not
run. The rules are in README.md beside the folder of this file.
"""

import base64
import binascii
import hashlib
import os
import re
import sys
from collections import defaultdict, namedtuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

MAX_SIZE = 2**53
MAX_PROOF = 63
MAX_NOTE = 2**18

LOG, COSIGNER = 0x01, 0x04  # signature types (signed-note, "Signature types")


class Refused(Exception):
    """A file that is not what it should be; the text says why."""


def need(condition, why):
    if not condition:
        raise Refused(why)


# ---- Spellings ----


def unbase64(text, length=None):
    """Base64 of RFC 4648 section 4 in its only spelling."""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise Refused("not base64") from None
    need(base64.b64encode(data).decode() == text, "another spelling of the base64")
    need(length is None or len(data) == length, f"not {length} bytes of base64")
    return data


def decimal(text, limit):
    need(re.fullmatch("0|[1-9][0-9]{0,18}", text, re.ASCII), "not a decimal number")
    need(int(text) <= limit, "a number above its limit")
    return int(text)


def text_of(data):
    """The characters of a note: UTF-8, no control character but newline."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        raise Refused("not UTF-8") from None
    need(all(c >= " " or c == "\n" for c in text), "a control character")
    return text


def field(line, key):
    need(line.startswith(key + " "), f"no line {key}")
    return line[len(key) + 1 :]


# ---- Merkle trees (RFC 9162 section 2.1) ----


def leaf_hash(data):
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left, right):
    return hashlib.sha256(b"\x01" + left + right).digest()


EMPTY = hashlib.sha256(b"").digest()


def root_of(hashes):
    """The root over leaf hashes: adjacent pairs level by level, an odd last one goes up as it is.
    The same tree as the recursive definition of section 2.1.1."""
    if not hashes:
        return EMPTY
    while len(hashes) > 1:
        pairs = zip(hashes[0::2], hashes[1::2])
        rest = hashes[-1:] if len(hashes) % 2 else []
        hashes = [node_hash(left, right) for left, right in pairs] + rest
    return hashes[0]


def check_inclusion(index, size, leaf, proof, root):
    """Section 2.1.3.2."""
    need(index < size, "the index is not below the size")
    fn, sn, r = index, size - 1, leaf
    for p in proof:
        need(sn != 0, "the inclusion proof is too long")
        if fn & 1 or fn == sn:
            r = node_hash(p, r)
            while not fn & 1 and fn != 0:
                fn, sn = fn >> 1, sn >> 1
        else:
            r = node_hash(r, p)
        fn, sn = fn >> 1, sn >> 1
    need(sn == 0, "the inclusion proof is too short")
    need(r == root, "the inclusion proof does not lead to the signed root")


def check_consistency(first, second, first_root, second_root, proof):
    """Section 2.1.4.2, with the cases that it leaves to the caller."""
    need(first <= second, "the old size is above the new one")
    if first == second:
        need(not proof, "a proof between equal sizes has no hashes")
        need(first_root == second_root, "two roots for one size")
        return
    if first == 0:
        need(not proof, "a proof from size 0 has no hashes")
        return
    need(proof, "the consistency proof is empty")
    path = ([first_root] if first & (first - 1) == 0 else []) + proof
    fn, sn = first - 1, second - 1
    while fn & 1:
        fn, sn = fn >> 1, sn >> 1
    fr = sr = path[0]
    for c in path[1:]:
        need(sn != 0, "the consistency proof is too long")
        if fn & 1 or fn == sn:
            fr, sr = node_hash(c, fr), node_hash(c, sr)
            while not fn & 1 and fn != 0:
                fn, sn = fn >> 1, sn >> 1
        else:
            sr = node_hash(sr, c)
        fn, sn = fn >> 1, sn >> 1
    need(sn == 0, "the consistency proof is too short")
    need(fr == first_root, "the consistency proof does not lead to the old root")
    need(sr == second_root, "the consistency proof does not lead to the new root")


# ---- Keys and policies (signed-note "Verifier keys", tlog-policy) ----

Key = namedtuple("Key", "name id type raw")


def key_of(vkey, wanted):
    parts = vkey.split("+", 2)
    need(len(parts) == 3 and parts[0], "not a verifier key")
    material = unbase64(parts[2], 33)
    need(material[0] == wanted, f"not a key of type {wanted}")
    key_id = hashlib.sha256(parts[0].encode() + b"\n" + material).digest()[:4]
    need(parts[1] == key_id.hex(), "the key's id is not that of its name and bytes")
    return Key(parts[0], key_id, wanted, material[1:])


class Policy:
    def __init__(self, data):
        self.logs, self.witnesses, self.groups, self.quorum = set(), {}, {}, None
        need(data.endswith(b"\n"), "the last line has no newline")
        for number, line in enumerate(data[:-1].split(b"\n"), 1):
            try:
                self._line(line)
            except Refused as why:
                raise Refused(f"policy line {number}: {why}") from None
        need(self.quorum is not None, "the policy has no quorum line")

    def _line(self, line):
        need(all(c == 9 or 32 <= c != 127 for c in line), "a control character")
        items = [item.decode("utf-8", "surrogateescape") for item in re.split(b"[ \t]+", line)]
        items = [item for item in items if item]
        if not items or items[0].startswith("#"):
            return
        word, *items = items
        if word == "log" and len(items) in (1, 2):
            key = key_of(items[0], LOG)
            need(all(key.raw != other.raw for other in self.logs), "a duplicate key")
            self.logs.add(key)
        elif word == "witness" and len(items) in (2, 3):
            name, key = items[0], key_of(items[1], COSIGNER)
            need(all(key.raw != k.raw for k in self.witnesses.values()), "a duplicate key")
            self._free(name)
            self.witnesses[name] = key
        elif word == "group" and len(items) >= 3:
            name, threshold, *members = items
            self._free(name)
            k = {"any": 1, "all": len(members)}.get(threshold)
            k = decimal(threshold, len(members)) if k is None else k
            need(k >= 1, "a threshold of nothing")
            taken = [m for _, group in self.groups.values() for m in group]
            for member in members:
                need(self._defined(member), "a member that is not defined above")
                need(member not in taken and members.count(member) == 1, "a member twice")
            self.groups[name] = (k, frozenset(members))
        elif word == "quorum" and len(items) == 1:
            need(self.quorum is None, "a second quorum line")
            need(items[0] == "none" or self._defined(items[0]), "an undefined quorum")
            self.quorum = items[0]
        else:
            raise Refused("not a line of a policy")

    def _defined(self, name):
        return name in self.witnesses or name in self.groups

    def _free(self, name):
        need(name != "none" and not self._defined(name), "the name is taken")

    def met(self, cosigned, name=None):
        """Whether the witnesses of `cosigned` are the quorum, or count as `name`."""
        name = self.quorum if name is None else name
        if name == "none" or name in cosigned:
            return True
        k, members = self.groups.get(name, (1, ()))
        return sum(self.met(cosigned, member) for member in members) >= k

    def covers(self, other):
        return (
            other.logs <= self.logs
            and other.witnesses == self.witnesses
            and other.groups == self.groups
            and other.quorum == self.quorum
        )


# ---- Notes and checkpoints ----

Head = namedtuple("Head", "origin size root")


def verify(key, message, signature):
    try:
        Ed25519PublicKey.from_public_bytes(key.raw).verify(signature, message)
    except (InvalidSignature, ValueError):
        raise Refused(f"the signature of {key.name} does not verify") from None


def open_checkpoint(data, policy):
    """The head of a signed note, and the names of the witnesses that cosigned it."""
    need(len(data) <= MAX_NOTE, "the note is too large")
    text = text_of(data)
    need("\n\n" in text, "no signatures")
    body, _, lines = text.rpartition("\n\n")
    body += "\n"
    need(lines.endswith("\n"), "the note does not end with a signature line")
    head = head_of(body)
    by_log, cosigned = False, set()
    for line in lines[:-1].split("\n"):
        match = re.fullmatch("\u2014 ([^\\s+]+) ([A-Za-z0-9+/]+=*)", line)
        need(match, "a malformed signature line")
        name, signature = match[1], unbase64(match[2])
        key_id, signature = signature[:4], signature[4:]
        need(signature, "an empty signature")
        for key in policy.logs:
            if (key.name, key.id) == (name, key_id):
                verify(key, body.encode(), signature)
                by_log |= key.name == head.origin
        for witness, key in policy.witnesses.items():
            if (key.name, key.id) == (name, key_id):
                time = int.from_bytes(signature[:8], "big")
                need(len(signature) == 72 and time < 2**63, "a malformed cosignature")
                message = f"cosignature/v1\ntime {time}\n{body}"
                verify(key, message.encode(), signature[8:])
                cosigned.add(witness)
    need(by_log, "no key that the policy lists for this origin signed it")
    return head, cosigned


def head_of(body):
    lines = body.split("\n")
    need(len(lines) == 4 and lines[0] and not lines[3], "not the lines origin, size and root")
    head = Head(lines[0], decimal(lines[1], MAX_SIZE), unbase64(lines[2], 32))
    need(head.size > 0 or head.root == EMPTY, "a wrong root of the empty tree")
    return head


# ---- Entries and openings ----


def check_entry(data, index):
    try:
        lines = data.decode("ascii").split("\n")
        need(len(lines) == 5 and not lines[4], "not three fields")
        need(lines[:2] == ["adal/leaf/v1", f"seq {index}"], "another sequence")
        unbase64(field(lines[2], "header"), 32)
        unbase64(field(lines[3], "payload"), 32)
    except (UnicodeDecodeError, Refused):
        raise Refused(f"not the entry of index {index}") from None


def opened_leaf(extra, origin, index):
    """The entry that an opening leads to. The opened record names the log, the epoch and the index
    for which it was written."""
    lines = text_of(extra).split("\n")
    need(len(lines) == 5 and lines[0] == "adal/opening/v1" and not lines[4], "not an opening")
    blind = unbase64(field(lines[1], "blind"), 32)
    header = unbase64(field(lines[2], "header"))
    payload = unbase64(field(lines[3], "payload"), 32)
    need(len(header) >= 188 and header[:4] == b"ADAL", "the opening is of no record")
    log, epoch = header[188 : 188 + header[183]], int.from_bytes(header[102:106], "big")
    name = "log/" + log.decode("ascii", "replace") + (f".e{epoch}" if epoch > 1 else "")
    need(origin.partition("/")[2] == name, "the opened record is of another log or epoch")
    sequence = int.from_bytes(header[106:114], "big")
    need(sequence == index, "the opened record says that it has another index")
    commit = hashlib.sha256(b"adal/header/v1\n" + blind + header).digest()
    commit, payload = base64.b64encode(commit).decode(), base64.b64encode(payload).decode()
    return f"adal/leaf/v1\nseq {index}\nheader {commit}\npayload {payload}\n".encode()


def ending_of(extra):
    """Epoch, size and root of the epoch before, as the first record of a later epoch says
    (log.succeeds: protobuf of 1 log, 2 epoch, 3 size, 4 root); None if it is another record."""
    header = unbase64(field(text_of(extra).split("\n")[2], "header"))
    if header[114:118] != b"\0\0\x0c\x02":
        return None
    log = header[188 : 188 + header[183]]
    body = header[int.from_bytes(header[6:8], "big") :]
    start = b"\x0a" + bytes([len(log)]) + log + b"\x10"
    need(body.startswith(start), "the first record of the epoch names another log")
    epoch, rest = varint(body[len(start) :])
    size = 0
    if rest[:1] == b"\x18":
        size, rest = varint(rest[1:])
    need(rest[:2] == b"\x22\x20" and len(rest) == 34, "the first record of the epoch is malformed")
    return epoch, size, rest[2:]


def varint(data):
    """A number in base 128, and what follows it."""
    value = 0
    for at, byte in enumerate(data[:9]):
        value |= (byte & 0x7F) << 7 * at
        if byte < 0x80:
            return value, data[at + 1 :]
    raise Refused("a number without an end")


def epoch_of(origin):
    """The epoch that an origin names."""
    return int(origin.partition("/log/")[2].partition(".e")[2] or 1)


def proof_lines(text):
    """Hashes up to an empty line, and what follows it."""
    proof = []
    while True:
        line, newline, text = text.partition("\n")
        need(newline, "the proof does not end with an empty line")
        if not line:
            return proof, text
        need(len(proof) < MAX_PROOF, "too many lines of proof")
        proof.append(unbase64(line, 32))


# ---- The bundle ----

NAMES = (
    "policy|checkpoints/[^/]+|consistency/[^/]+|(receipts|slips)/[^/]+\\.tlog-proof"
    "|leaves/(0|[1-9][0-9]*)|log/checkpoint|log/tile/.*"
)


class Bundle:
    def __init__(self, files, trust):
        self.files, self.trust = files, trust
        self.said, self.refused = {}, set()
        self.heads = defaultdict(list)  # head -> files that show it
        self.links = defaultdict(set)  # head -> heads of one history with it, as proved
        self.complete = set()  # heads that the quorum cosigned
        self.copy, self.hashes = None, []  # head and leaf hashes of log/
        self.entries = {}  # (origin, index) -> leaf hash, from log/
        self.proved = set()  # (index, leaf hash), from receipts and slips
        self.endings = {}  # origin -> what its first record says of the epoch before

    def refuse(self, path, why):
        if path not in self.refused:
            self.refused.add(path)
            self.said[path] = why

    def run(self, folder, check):
        for path in sorted(self.files):
            if path.startswith(folder):
                try:
                    what = check(path, self.files[path])
                    if path not in self.refused:
                        self.said[path] = what
                except Refused as why:
                    self.refuse(path, str(why))

    def check(self):
        self.run("", self.check_name)
        if "policy" not in self.files:
            self.refuse("policy", "missing")
        self.run("policy", self.check_policy)
        self.run("checkpoints/", self.check_checkpoint)
        self.check_log()
        self.run("consistency/", self.check_consistency)
        self.run("receipts/", self.check_receipt)
        self.run("slips/", self.check_slip)
        self.run("leaves/", self.check_leaf)
        self.check_roots()
        self.check_history()

    def check_name(self, path, _):
        need(re.fullmatch(NAMES, path), "no file of a bundle has this name")
        return "named as it should be"

    def check_policy(self, path, data):
        need(self.trust.covers(Policy(data)), "it is not the auditor's policy")
        return "the auditor's"

    def show(self, path, data):
        head, cosigned = open_checkpoint(data, self.trust)
        self.heads[head].append(path)
        met = self.trust.met(cosigned)
        if met and not path.startswith(("receipts/", "slips/")):
            self.complete.add(head)
        return head, met, f"{head.origin}, size {head.size}, {len(cosigned)} cosignatures"

    def check_checkpoint(self, path, data):
        _, met, what = self.show(path, data)
        return what + (", quorum met" if met else ", no quorum yet")

    def check_consistency(self, path, data):
        first, _, rest = text_of(data).partition("\n")
        old = decimal(field(first, "old"), MAX_SIZE)
        proof, note = proof_lines(rest)
        new, _, what = self.show(path, note.encode())
        known = [
            head
            for head, paths in self.heads.items()
            if (head.origin, head.size) == (new.origin, old)
            and any(p.startswith("checkpoints/") for p in paths)
        ]
        need(known or old == 0, f"no signed checkpoint of size {old} is in checkpoints/")
        for head in known:
            check_consistency(old, new.size, head.root, new.root, proof)
            self.link(head, new)
        if old == 0:
            check_consistency(0, new.size, EMPTY, new.root, proof)
        return f"from size {old}: {what}"

    def link(self, one, other):
        self.links[one].add(other)
        self.links[other].add(one)

    def check_receipt(self, path, data):
        met, what = self.check_proof(path, data)
        need(met, "the quorum of the policy has not cosigned it")
        return what

    def check_slip(self, path, data):
        return self.check_proof(path, data)[1]

    def check_proof(self, path, data):
        first, _, rest = text_of(data).partition("\n")
        need(first == "c2sp.org/tlog-proof@v1", "not a tlog-proof of version 1")
        line, _, rest = rest.partition("\n")
        extra = None
        if line.startswith("extra "):
            extra = unbase64(field(line, "extra"))
            need(extra, "an empty extra")
            line, _, rest = rest.partition("\n")
        index = decimal(field(line, "index"), MAX_SIZE - 1)
        proof, note = proof_lines(rest)
        head, met, what = self.show(path, note.encode())
        entry = self.entries.get((head.origin, index))
        if extra is not None:
            leaf = leaf_hash(opened_leaf(extra, head.origin, index))
            need(entry in (None, leaf), "it opens another entry than log/ holds at this index")
        elif entry is not None:
            leaf = entry
        else:
            need(f"leaves/{index}" in self.files, "no leaf to prove: no opening, leaves/ or log/")
            leaf = leaf_hash(self.files[f"leaves/{index}"])
        check_inclusion(index, head.size, leaf, proof, head.root)
        self.proved.add((index, leaf))
        if index == 0 and extra is not None and (ending := ending_of(extra)):
            self.endings[head.origin] = ending
        return met, f"entry {index} of {what}"

    def check_leaf(self, path, data):
        index = int(path.removeprefix("leaves/"))
        check_entry(data, index)
        leaf = leaf_hash(data)
        entered = any(at == index and leaf == known for (_, at), known in self.entries.items())
        need(entered or (index, leaf) in self.proved, "no proof and no tile shows this entry")
        return "proved"

    # ---- log/ (tlog-tiles) ----

    def check_log(self):
        if "log/checkpoint" not in self.files:
            for path in self.files:
                if path.startswith("log/"):
                    self.refuse(path, "log/checkpoint is missing")
            return
        self.run("log/checkpoint", self.check_checkpoint)
        if "log/checkpoint" in self.refused:
            return
        head = next(head for head, paths in self.heads.items() if "log/checkpoint" in paths)
        expected = {"log/checkpoint"}
        # Every hash of every level from the entries; each tile must be exactly that.
        level, hashes = 0, self.read_entries(head, expected)
        if len(hashes) != head.size:
            return
        while hashes:
            for start in range(0, len(hashes), 256):
                tile = hashes[start : start + 256]
                path = "log/tile/" + tile_path(level, start // 256, len(tile))
                expected.add(path)
                self.compare(path, b"".join(tile))
                if level == 0 and path in self.refused:
                    entries = "log/tile/" + tile_path("entries", start // 256, len(tile))
                    self.refuse(entries, "its entries and their tile disagree")
            full = len(hashes) // 256 * 256
            hashes = [root_of(hashes[i : i + 256]) for i in range(0, full, 256)]
            level += 1
        for path in self.files:
            if path.startswith("log/") and path not in expected:
                self.refuse(path, f"a tree of size {head.size} has no such tile")
        self.copy = head

    def read_entries(self, head, expected):
        """Reads all entries; returns their leaf hashes as far as they are good."""
        for start in range(0, head.size, 256):
            width = min(256, head.size - start)
            path = "log/tile/" + tile_path("entries", start // 256, width)
            expected.add(path)
            try:
                need(path in self.files, "missing")
                for index, entry in entries_of(self.files[path], start, width):
                    check_entry(entry, index)
                    self.hashes.append(leaf_hash(entry))
                    self.entries[head.origin, index] = self.hashes[-1]
                self.said[path] = f"{width} entries"
            except Refused as why:
                self.refuse(path, str(why))
                self.hashes, self.entries = [], {}
                break
        return self.hashes

    def compare(self, path, data):
        if path not in self.files:
            self.refuse(path, "missing")
        elif self.files[path] != data:
            self.refuse(path, "not the tile that the entries lead to")
        else:
            self.said[path] = f"{len(data) // 32} hashes"

    def check_roots(self):
        """The entries of log/ give the root of every size up to theirs."""
        for head, paths in self.heads.items():
            if self.copy is None or head.origin != self.copy.origin or head.size > self.copy.size:
                continue
            if root_of(self.hashes[: head.size]) == head.root:
                self.link(head, self.copy)
                continue
            for path in paths:
                self.refuse(path, f"the entries of log/ give another root for size {head.size}")

    # ---- One history ----

    def check_history(self):
        for head, paths in self.heads.items():
            twins = [o for o in self.heads if o[:2] == head[:2] and o.root != head.root]
            for path in paths if twins else ():
                self.refuse(path, f"the log signed another root for size {head.size} too")
        newest = {}
        for head in self.complete:
            if head.origin not in newest or newest[head.origin].size < head.size:
                newest[head.origin] = head
        if not newest:
            self.refuse("checkpoints/", "the bundle has no head that the quorum cosigned")
        ends = self.check_epochs()
        # A later epoch that the quorum saw vouches for the end of one that it did not see itself.
        vouched = {end for later, end in ends.items() if later in newest}
        vouched = {end for end in vouched if end.origin not in newest and self.last(end) == end.size}
        reached, todo = set(), [*newest.values(), *(vouched & self.heads.keys())]
        while todo:
            head = todo.pop()
            if head not in reached:
                reached.add(head)
                todo.extend(self.links[head])
        for head, paths in self.heads.items():
            if head.size > 0 and head not in reached:
                for path in paths:
                    self.refuse(
                        path,
                        f"nothing proves size {head.size} to be of one history with the newest "
                        "head that the quorum cosigned",
                    )

        for later, end in ends.items():
            behind = self.last(end) > end.size and all(h[:2] != end[:2] for h in self.heads)
            if end.size > 0 and end not in reached and not behind:
                self.refuse(
                    f"checkpoints/ of {later}",
                    f"it begins after {end.size} entries of the epoch before, not shown so",
                )

    def last(self, end):
        """Size of the largest head of that origin."""
        return max(head.size for head in self.heads if head.origin == end.origin)

    def check_epochs(self):
        """By origin of a later epoch, the last head of the one before, as its first record says."""
        ends, epochs = {}, {epoch_of(head.origin): head.origin for head in self.heads}
        for epoch, origin in epochs.items():
            if epoch == 1:
                continue
            before = epochs.get(epoch - 1)
            if origin not in self.endings:
                why = "nothing shows where the epoch before it ended: no receipt opens its entry 0"
                self.refuse(f"checkpoints/ of {origin}", why)
            elif before is None and min(epochs) < epoch:
                self.refuse(f"checkpoints/ of {origin}", "the epoch before it is missing")
            elif before is not None:
                named, size, root = self.endings[origin]
                if named != epoch - 1:
                    self.refuse(f"checkpoints/ of {origin}", "it goes on from another epoch")
                ends[origin] = Head(before, size, root)
        return ends

    def verdict(self):
        for path in sorted(self.said):
            print("REFUSED" if path in self.refused else "ok", f"{path}: {self.said[path]}")
        if self.refused:
            print(f"refused: {len(self.refused)} of {len(self.files)} files")
            return 1
        print(f"accepted: {len(self.files)} files")
        return 0


def tile_path(level, n, width):
    path = f"{n % 1000:03}"
    while n >= 1000:
        n //= 1000
        path = f"x{n % 1000:03}/{path}"
    return f"{level}/{path}" + (f".p/{width}" if width < 256 else "")


def entries_of(data, start, width):
    """Entries with a big-endian length of two bytes before each."""
    at = 0
    for index in range(start, start + width):
        need(at + 2 <= len(data), f"cut before entry {index}")
        end = at + 2 + int.from_bytes(data[at : at + 2], "big")
        need(end <= len(data), f"cut in entry {index}")
        yield index, data[at + 2 : end]
        at = end
    need(at == len(data), "bytes behind the last entry")


def read_files(folder):
    files = {}
    for parent, _, names in os.walk(folder, onerror=raise_error):
        for name in names:
            path = os.path.join(parent, name)
            need(os.path.isfile(path) and not os.path.islink(path), f"{path} is not a plain file")
            with open(path, "rb") as file:
                files[os.path.relpath(path, folder).replace(os.sep, "/")] = file.read()
    return files


def raise_error(error):
    raise error


def main():
    if len(sys.argv) != 3:
        sys.exit("usage: check.py DIR POLICY")
    try:
        with open(sys.argv[2], "rb") as file:
            trust = Policy(file.read())
        files = read_files(sys.argv[1])
    except (Refused, OSError) as why:
        print(f"not run: {why}", file=sys.stderr)
        return 2
    bundle = Bundle(files, trust)
    bundle.check()
    return bundle.verdict()


if __name__ == "__main__":
    sys.exit(main())

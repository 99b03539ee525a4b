#!/usr/bin/env python3
"""The trees of an evidence bundle before two packages of PyPI: pymerkle rebuilds the tree from the
entries in log/, and sigstore's own check of Rekor's inclusion proofs judges receipts and slips.

    trees.py DIR POLICY

Neither package reads notes, so signatures, the policy and openings are not looked at (POLICY is
not opened). Same output as check.py. Needs a virtual environment: pip install pymerkle sigstore.
"""

import base64
import os
import sys
from types import SimpleNamespace

from pymerkle import InmemoryTree, InclusionProof, InvalidProof, verify_inclusion
from sigstore._internal.merkle import verify_merkle_inclusion
from sigstore.errors import VerificationError

# What reading a malformed file raises.
MALFORMED = (ValueError, IndexError, StopIteration)


def read_entries(folder):
    """The entries in log/, in their order."""
    entries = []
    for parent, folders, names in os.walk(os.path.join(folder, "log/tile/entries")):
        folders.sort()
        for name in sorted(names):
            with open(os.path.join(parent, name), "rb") as file:
                data = file.read()
            while data:
                end = 2 + int.from_bytes(data[:2], "big")
                if end > len(data):
                    raise ValueError("an entry is cut")
                entries.append(data[2:end])
                data = data[end:]
    return entries


def read_proof(text):
    """Index, hashes, size and root of a receipt or slip."""
    before, note = text.split("\n\n", 1)
    lines = before.split("\n")
    at = next(i for i, line in enumerate(lines) if line.startswith("index "))
    path = [base64.b64decode(line, validate=True) for line in lines[at + 1 :]]
    return int(lines[at][6:]), path, *read_head(note)


def read_head(text):
    """Size and root of a checkpoint."""
    lines = text.split("\n")
    return int(lines[1]), base64.b64decode(lines[2], validate=True)


class Trees:
    def __init__(self, folder):
        self.entries = read_entries(folder)
        self.tree = InmemoryTree(algorithm="sha256")
        for entry in self.entries:
            self.tree.append_entry(entry)

    def head(self, size, root):
        if 0 < size <= len(self.entries) and self.tree.get_root(size) != root:
            raise ValueError("pymerkle: the entries lead to another root")

    def inclusion(self, index, path, size, root):
        self.head(size, root)
        if index >= len(self.entries):
            return
        proof = SimpleNamespace(log_index=index, tree_size=size, hashes=path, root_hash=root)
        inner = SimpleNamespace(inclusion_proof=proof, canonicalized_body=self.entries[index])
        verify_merkle_inclusion(SimpleNamespace(_inner=inner))
        if size > len(self.entries):
            return
        # pymerkle counts from one, and its paths begin with the leaf itself.
        made = self.tree.prove_inclusion(index + 1, size)
        leaf = self.tree.get_leaf(index + 1)
        ours = InclusionProof("sha256", True, size, index + 1, made.rule, [leaf] + path)
        verify_inclusion(leaf, root, ours, index=index + 1, size=size)


def main():
    folder, refused, files = sys.argv[1], 0, 0
    try:
        trees = Trees(folder)
    except ValueError as why:
        print(f"REFUSED log/tile/entries: {why}\nrefused: the entries")
        return 1
    for part in ("checkpoints", "receipts", "slips"):
        place = os.path.join(folder, part)
        for name in sorted(os.listdir(place)) if os.path.isdir(place) else ():
            files += 1
            try:
                with open(os.path.join(place, name), encoding="utf-8") as file:
                    text = file.read()
                if part == "checkpoints":
                    trees.head(*read_head(text))
                else:
                    trees.inclusion(*read_proof(text))
                print(f"ok {part}/{name}: its tree")
            except MALFORMED + (InvalidProof, VerificationError) as why:
                refused += 1
                print(f"REFUSED {part}/{name}: {why}".split("\n")[0])
    print(f"refused: {refused} of {files} files" if refused else f"accepted: {files} files")
    return 1 if refused else 0


if __name__ == "__main__":
    sys.exit(main())

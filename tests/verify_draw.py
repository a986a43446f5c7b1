"""Verifies transcripts of lucky draws, hubbub-draw-v1, from the guide in src/room/fair.rs alone.

    python3 tests/verify_draw.py transcript.json ...

Says of each file whether it fits, and what does not; the status is 0 if all do, else 1. It needs nothing but
Python 3.8. `--vectors` checks the file of test vectors instead.
"""

import hashlib
import hmac
import json
import re
import sys


class Unfit(Exception):
    """What does not fit."""


def check(fits, what):
    if not fits:
        raise Unfit(what)


def u32(number):
    return number.to_bytes(4, "big")


def sha256(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def hmac_sha256(key, *parts):
    return hmac.new(key, b"".join(parts), hashlib.sha256).digest()


# Step by step.


def commitment_of(seed, rules):
    return sha256(b"hubbub-draw-v1/commit\0", seed, rules.encode())


def leaf_of(number, salt, viewer):
    return sha256(b"hubbub-draw-v1/entry\0", u32(number), salt, viewer)


def chained(before, leaf):
    return sha256(b"hubbub-draw-v1/chain\0", before, leaf)


WHY = {"struck": b"\x01", "earlier_winner": b"\x02"}


def root_of(chain, count, excluded):
    parts = []
    for one in excluded:
        note = one["note"].encode()
        parts += [u32(one["entry"]), WHY[one["why"]], u32(len(note)), note]
    return sha256(b"hubbub-draw-v1/lock\0", chain, u32(count), u32(len(excluded)), *parts)


def index_of(number, left):
    """None: thrown away."""
    return None if number >= 2**64 - 2**64 % left else number % left


def picks(seed, root, eligible):
    left, c = list(eligible), 0
    while left:
        block = hmac_sha256(seed, b"hubbub-draw-v1/pick\0", root, u32(c))
        index = index_of(int.from_bytes(block[:8], "big"), len(left))
        c += 1
        if index is not None:
            yield left.pop(index)


def take(sequence, count):
    return [entry for _, entry in zip(range(count), sequence)]


def redraw_of(before, instead_of, winners):
    entries = [u32(entry) for entry in instead_of + winners]
    return sha256(b"hubbub-draw-v1/redraw\0", before, u32(len(instead_of)), *entries)


def present_salt(salts, number):
    return hmac_sha256(salts, b"hubbub-draw-v1/salt\0", u32(number))[:16]


# The transcript.


def is_hash(value):
    return isinstance(value, str) and re.fullmatch("[0-9a-f]{64}", value) is not None


def is_entry(value):
    return type(value) is int and 0 < value < 2**32


def is_list(value, is_item):
    return isinstance(value, list) and all(is_item(item) for item in value)


def has_keys(value, must, may=()):
    return isinstance(value, dict) and set(must) <= set(value) <= set(must) | set(may)


def is_excluded(value):
    return (
        has_keys(value, ["entry", "why", "note"])
        and is_entry(value["entry"])
        and isinstance(value["why"], str)
        and value["why"] in WHY
        and isinstance(value["note"], str)
    )


def is_redraw(value):
    return (
        has_keys(value, ["instead_of", "winners", "hash"])
        and is_list(value["instead_of"], is_entry)
        and is_list(value["winners"], is_entry)
        and is_hash(value["hash"])
    )


def no_key_twice(pairs):
    check(len(dict(pairs)) == len(pairs), "a key stands twice")
    return dict(pairs)


def parse(text):
    try:
        return json.loads(text, object_pairs_hook=no_key_twice)
    except ValueError as error:
        raise Unfit(f"no JSON: {error}") from error


OPTIONAL = {
    "excluded": lambda value: is_list(value, is_excluded),
    "root": is_hash,
    "seed": is_hash,
    "winners": lambda value: is_list(value, is_entry),
    "redraws": lambda value: is_list(value, is_redraw),
    "cancelled": lambda value: isinstance(value, str),
}


def check_shape(transcript):
    check(has_keys(transcript, ["format", "rules", "commitment", "leaves"], OPTIONAL), "keys")
    check(transcript["format"] == "hubbub-draw-v1", "format")
    check(isinstance(transcript["rules"], str), "rules")
    check(is_hash(transcript["commitment"]), "commitment")
    check(is_list(transcript["leaves"], is_hash), "leaves")
    for key, fits in OPTIONAL.items():
        check(key not in transcript or fits(transcript[key]), key)


def read_rules(text):
    committed = parse(text)
    check(has_keys(committed, ["room", "draw", "opened_at", "rules"]), "rules")
    check(json.dumps(committed, ensure_ascii=False, separators=(",", ":")) == text, "rules are not compact")
    rules = committed["rules"]
    check(isinstance(rules, dict) and is_entry(rules.get("winners")), "rules")
    exclude = rules.get("exclude_earlier_winners", False)
    check(isinstance(exclude, bool), "rules")
    return rules["winners"], exclude


def verify(transcript):
    """The entries that hold a prize after all redraws."""
    check_shape(transcript)
    wanted, exclude = read_rules(transcript["rules"])
    leaves, excluded = transcript["leaves"], transcript.get("excluded", [])
    winners, redraws = transcript.get("winners", []), transcript.get("redraws", [])

    numbers = [one["entry"] for one in excluded]
    check(numbers == sorted(set(numbers)), "excluded entries are out of order")
    check(all(number <= len(leaves) for number in numbers), "an excluded entry is none of this draw")
    check(exclude or all(one["why"] == "struck" for one in excluded), "excluded against the rules")

    if "cancelled" in transcript:
        check(not {"root", "seed", "winners", "redraws"} & set(transcript), "parts after a cancellation")
        raise Unfit("the draw was cancelled: there are no winners to verify")
    check("root" in transcript and "seed" in transcript, "the winners are not revealed yet")
    seed, root = bytes.fromhex(transcript["seed"]), bytes.fromhex(transcript["root"])

    check(commitment_of(seed, transcript["rules"]).hex() == transcript["commitment"], "commitment")
    chain = bytes.fromhex(transcript["commitment"])
    for leaf in leaves:
        chain = chained(chain, bytes.fromhex(leaf))
    check(root_of(chain, len(leaves), excluded) == root, "root")

    out = set(numbers)
    sequence = picks(seed, root, [n for n in range(1, len(leaves) + 1) if n not in out])
    check(take(sequence, wanted) == winners, "winners")

    holders, before = list(winners), root
    for redraw in redraws:
        instead_of, fresh = redraw["instead_of"], redraw["winners"]
        check(instead_of and len(set(instead_of)) == len(instead_of) == len(fresh), "redraw")
        check(set(instead_of) <= set(holders), "redraw of a prize that nobody held")
        check(take(sequence, len(fresh)) == fresh, "redraw: winners")
        before = redraw_of(before, instead_of, fresh)
        check(before.hex() == redraw["hash"], "redraw: hash")
        new = dict(zip(instead_of, fresh))
        holders = [new.get(entry, entry) for entry in holders]
    return holders


def check_vectors(vectors):
    commit, lock = vectors["commit"], vectors["lock"]
    seed = bytes.fromhex(commit["seed"])
    chain = commitment_of(seed, commit["rules"])
    check(chain.hex() == commit["commitment"], "commitment")
    for entry in vectors["entries"]:
        leaf = leaf_of(entry["number"], bytes.fromhex(entry["salt"]), bytes.fromhex(entry["viewer"]))
        chain = chained(chain, leaf)
        check([leaf.hex(), chain.hex()] == [entry["leaf"], entry["hash"]], f"entry {entry['number']}")
    root = root_of(chain, lock["count"], lock["excluded"])
    check(root.hex() == lock["root"], "root")
    out = [one["entry"] for one in lock["excluded"]]
    sequence = picks(seed, root, [n for n in range(1, lock["count"] + 1) if n not in out])
    for pick in vectors["picks"]:
        block = hmac_sha256(seed, b"hubbub-draw-v1/pick\0", root, u32(pick["c"]))
        check(block.hex() == pick["block"] and next(sequence) == pick["entry"], f"pick {pick['c']}")
    for one in vectors["indexes"]:
        check(index_of(int(one["number"], 16), one["left"]) == one["index"], f"index of {one['number']}")
    for entry in vectors["present"]["entries"]:
        salt = present_salt(bytes.fromhex(vectors["present"]["salts"]), entry["number"])
        check(salt.hex() == entry["salt"], f"salt {entry['number']}")
    verify(vectors["transcript"])
    return "vectors"


def main(arguments):
    vectors = arguments[:1] == ["--vectors"]
    paths = arguments[1:] if vectors else arguments
    if not paths:
        sys.exit(__doc__)
    failed = False
    for path in paths:
        try:
            with open(path, "rb") as file:
                read = parse(file.read().decode())
            print(f"{path}: ok: {check_vectors(read) if vectors else verify(read)}")
        except (Unfit, UnicodeDecodeError) as unfit:
            failed = True
            print(f"{path}: does not fit: {unfit}")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main(sys.argv[1:])

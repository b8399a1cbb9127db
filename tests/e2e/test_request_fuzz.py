"""Queries and cookies at random: requests that share a key reach the application as the same bytes,
and requests that do not, as others."""

import json
import random
from collections import defaultdict

import pytest
from support.origin import Answer
from support.stored import key_of

COUNTED = "redis_cache_args drop=utm_*,ref sort; redis_cache_cookies lang cur;"
NAMES = ["a", "b", "ref", "Ref", "utm_x", "utm", "utm_", "%72ef", "a%26b", ""]
VALUES = ["", "=", "=1", "=2", "=1=2", "=?", "=a;ref=1", "=%00", "=%FF"]
COOKIES = ["lang", "cur", "Lang", "_ga", " lang", "lang ", "langx", ""]
TEXTS = ["", "=", "=de", "=en", "=a=b", '="de"', "=2:de", "=" + "x" * 256, "=" + "x" * 257, "=\xff"]
ROUNDS = 600


def target(chance) -> str:
    path = chance.choice(["/", "/p", "/p/", "/p//"])
    parts = [chance.choice(NAMES) + chance.choice(VALUES) for _ in range(chance.randrange(5))]
    return path + chance.choice(["?", "?", "?&", ""] if not parts else ["?"]) + "&".join(parts)


def cookies(chance) -> list[tuple[str, str]]:
    def line():
        parts = [chance.choice(COOKIES) + chance.choice(TEXTS) for _ in range(chance.randrange(1, 5))]
        return chance.choice(["; ", ";", " ;  "]).join(parts)

    return [("Cookie", line()) for _ in range(chance.randrange(3))]


@pytest.mark.engines("event", "blocking")
def test_who_shares_a_key_shares_every_byte(serve, origin):
    """Nothing is stored, so every request is a miss, and its key is the one that nginx hands over."""
    origin.answer = lambda asked: Answer(
        json.dumps([asked.header("X-Redis-Cache-Key"), asked.target, asked.header("Cookie")]).encode()
    )
    nginx = serve(COUNTED, server="large_client_header_buffers 8 32k;")
    seed = random.randrange(1 << 32)
    chance = random.Random(seed)
    seen, keys = defaultdict(set), defaultdict(set)
    with nginx.client() as client:
        for _ in range(ROUNDS):
            asked, sent = target(chance), cookies(chance)
            key, *bytes_ = json.loads(client.get(asked, sent).body)
            assert key, (seed, asked, sent)
            seen[key].add(tuple(bytes_))
            keys[tuple(bytes_)].add(key)
    assert all(len(found) == 1 for found in seen.values()), (seed, seen)
    assert not {k: v for k, v in keys.items() if len(v) > 1}, seed
    assert 20 < len(seen) < ROUNDS, seed
    assert key_of(nginx, "/p") in seen, seed

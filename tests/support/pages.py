"""An application of several pages, and responses whose answers had the time to be stored."""

import time

from .origin import Answer

HTML = ("Content-Type", "text/html; charset=utf-8")
FRESH = [("Cache-Control", "max-age=60"), HTML]


def settled(nginx, target="/p", headers=None, method="GET", **arguments):
    response = nginx.request(method, target, headers, **arguments)
    time.sleep(0.05)
    return response


def answers(origin, pages):
    """`pages`: target -> Answer or bytes; anything else is a fresh page with a number."""

    def answer(asked):
        path = asked.target.partition("?")[0]
        page = pages.get(path, b"answer %d" % len(origin.requests))
        return page if isinstance(page, Answer) else Answer(page, headers=FRESH)

    origin.answer = answer


def count(origin, target):
    return sum(asked.target == target for asked in origin.requests)

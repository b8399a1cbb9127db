"""What a browser costs, which asks for gzip: nginx compresses for each, or sends what is stored so."""

import http.client
import os
import random
import threading
import time
from dataclasses import dataclass
from pathlib import Path

LOREM = (
    "lorem ipsum dolor sit amet consetetur sadipscing elitr sed diam nonumy eirmod tempor invidunt ut "
    "labore et dolore magna aliquyam erat at vero eos et accusam justo duo dolores ea rebum stet clita "
    "kasd gubergren no sea takimata sanctus est nulla facilisi nam liber cum soluta nobis eleifend option "
    "congue nihil imperdiet doming id quod mazim placerat facer possim assum"
).split()

BROWSER = {"Accept-Encoding": "gzip, deflate, br, zstd"}
SIZES = {"16k": 16 << 10, "128k": 128 << 10}
KEYS = 200


@dataclass
class Way:
    name: str
    prefix: str
    helper: str = ""
    headers: tuple = tuple(BROWSER.items())


WAYS = [
    Way("static file, gzip on", "/b-static"),
    Way("redis_cache, http form, gzip on", "/b-http", "redis"),
    Way("redis_cache, raw form, gzip on", "/b-raw", "redis"),
    Way("redis_cache_compress gzip", "/b-gzip", "redis"),
    Way("redis_cache_compress br", "/b-br", "redis"),
    Way("proxy_cache on tmpfs, gzip on", "/b-proxy"),
    Way("memcached_pass, gzip on", "/b-memcached", "memcached"),
    Way("Lua cosocket, gzip on", "/b-lua", "redis"),
    Way("no gzip: redis_cache, http form", "/b-http", "redis", ()),
    Way("no gzip: redis_cache_compress gzip", "/b-gzip", "redis", ()),
    Way("no gzip: redis_cache_compress br", "/b-br", "redis", ()),
]


def html(number: int, size: int) -> bytes:
    """A page of a blog: it shrinks to about a quarter, as such pages do."""
    draw = random.Random(number)
    pieces = [
        f'<!doctype html><html lang="la"><head><meta charset="utf-8"><title>Page {number}</title>'
        '<link rel="stylesheet" href="/static/css/site.3f2a9c.css"></head><body class="blog">'
    ]
    length = len(pieces[0])
    while length < size:
        words = [draw.choice(LOREM) for _ in range(draw.randint(20, 60))]
        for at in range(0, len(words), 9):
            words[at] = f"{words[at]}{draw.randint(0, 99_999)}"
        entry = (
            f'<article id="post-{draw.getrandbits(32)}" class="post hentry"><h2 class="entry-title">'
            f'<a href="/{draw.randint(2014, 2026)}/{"-".join(words[:4])}/">{" ".join(words[:4])}</a></h2>'
            f'<p class="entry-content">{" ".join(words)}.</p></article>\n'
        )
        pieces.append(entry)
        length += len(entry)
    return "".join(pieces).encode()[:size]


def fill(bench, client, memcached):
    """Stores the pages for those ways that cannot fill themselves."""
    for label, size in SIZES.items():
        (bench.directory / "html" / label).mkdir(parents=True)
        for number in range(KEYS):
            body = html(number, size)
            (bench.directory / "html" / label / str(number)).write_bytes(body)
            client.set(f"/b-raw/{label}/{number}", body)
            client.set(f"/b-lua/{label}/{number}", body)
            command = b"set /b-memcached/%s/%d 0 0 %d\r\n%s\r\n"
            memcached.sendall(command % (label.encode(), number, size, body))
            memcached.recv(100)
    (bench.directory / "html/large").write_bytes(html(0, 1 << 20))


def locations(bench, lua: str) -> str:
    """One for each way. Three are filled by nginx itself, from the application at /b-origin/."""
    socket = f"unix:{bench.redis_socket}"
    stored = {"b-http": "", "b-gzip": "redis_cache_compress gzip;", "b-br": "redis_cache_compress br;"}
    filled = "".join(
        f"""
        location /{name}/ {{
            gzip on; redis_cache {socket}; redis_cache_key $uri; redis_cache_timeout 2s;
            redis_cache_store on; redis_cache_valid 1d; {how}
            proxy_pass http://origin/b-origin/; proxy_set_header Accept-Encoding "";
        }}"""
        for name, how in stored.items()
    )
    return f"""
        location /b-origin/ {{ alias {bench.directory}/html/; etag on; }}
        location /b-static/ {{ gzip on; alias {bench.directory}/html/; }}
        {filled}
        location /b-raw/ {{
            gzip on; redis_cache_pass {socket}; redis_cache_key $uri; redis_cache_format raw;
            redis_cache_timeout 2s;
        }}
        location /b-proxy/ {{
            gzip on; proxy_pass http://origin/b-origin/; proxy_set_header Accept-Encoding "";
            proxy_cache bench; proxy_cache_valid 1d;
        }}
        location /b-memcached/ {{
            gzip on; set $memcached_key $uri; memcached_pass memcached; memcached_buffer_size 16k;
        }}
        {"".join(filling(name, how, socket) for name, how in FILLS.items())}
        location /b-lua/ {{ gzip on; content_by_lua_block {{ {lua} }} }}
    """


# A page of 1 MiB that is a miss every time.
FILLS = {
    "b-fill-none": "redis_cache off;",
    "b-fill-plain": "",
    "b-fill-gzip": "redis_cache_compress gzip;",
    "b-fill-br": "redis_cache_compress br;",
}


def filling(name: str, how: str, socket: str) -> str:
    where = "" if "off" in how else f"redis_cache {socket}; redis_cache_key {name}$request_id;"
    return f"""
        location /{name}/ {{
            {where} redis_cache_timeout 2s; redis_cache_store on; redis_cache_valid 1s; {how}
            proxy_buffers 16 64k; proxy_set_header Accept-Encoding "";
            proxy_pass http://origin/b-origin/large?;
        }}"""


def beside(bench, seconds):
    """Another location of the same worker while 20 pages of 1 MiB a second are fetched, stored, and coded.
    nginx may use both cores for it, as it does where nobody binds its workers to one."""
    for task in Path(f"/proc/{bench.pids['nginx']}/task").iterdir():
        os.sched_setaffinity(int(task.name), {0, 1})
    print("\n### Another location of the same worker while 20 pages of 1 MiB a second are filled\n")
    print("| how they are stored | p50 ms | p99 ms of the other location |\n|---|---|---|")
    for name, how in FILLS.items():
        ends = threading.Event()
        load = threading.Thread(target=ask, args=(bench, name, ends))
        load.start()
        p50, p99 = probe(bench, seconds)
        ends.set()
        load.join()
        print(f"| {how.rstrip(';') or 'as they came'} | {p50 * 1e3:.2f} | {p99 * 1e3:.2f} |", flush=True)


def probe(bench, seconds):
    """How long another location takes, asked 200 times a second: p50 and p99 in seconds. wrk would
    keep a core busy that the pages need."""
    connection = http.client.HTTPConnection("127.0.0.1", bench.port)
    times, end = [], time.monotonic() + seconds
    while (began := time.monotonic()) < end:
        connection.request("GET", "/return/1k/1")
        connection.getresponse().read()
        times.append(time.monotonic() - began)
        time.sleep(0.005)
    times.sort()
    return times[len(times) // 2], times[len(times) * 99 // 100]


def ask(bench, name, ends):
    connection = http.client.HTTPConnection("127.0.0.1", bench.port)
    while not ends.wait(0.05):
        connection.request("GET", f"/{name}/1")
        connection.getresponse().read()


def warm(bench):
    """Has nginx store every page."""
    connection = http.client.HTTPConnection("127.0.0.1", bench.port)
    for label in SIZES:
        for prefix in ["/b-http", "/b-gzip", "/b-br", "/b-proxy"]:
            for number in range(KEYS):
                connection.request("GET", f"{prefix}/{label}/{number}")
                connection.getresponse().read()
                # Faster than it codes them nginx would store some as they came.
                time.sleep(0.01 if prefix == "/b-br" else 0)


def sent(bench, way, label) -> int:
    """How many bytes a body has on the wire."""
    connection = http.client.HTTPConnection("127.0.0.1", bench.port)
    connection.request("GET", f"{way.prefix}/{label}/7", headers=dict(way.headers))
    return len(connection.getresponse().read())


def table(bench, client, label, medians):
    """The medians, with bytes sent and the memory that a page takes in Redis."""
    print(f"\n### What a browser gets, {label} of HTML, {KEYS} keys, 64 connections\n")
    print("| way to answer | requests/s | p50 ms | nginx CPU us | server CPU us | bytes sent | bytes in Redis |")
    print("|---|---|---|---|---|---|---|")
    for way in WAYS:
        if way.name not in medians:
            continue
        result = medians[way.name]
        memory = client.memory_usage(f"{way.prefix}/{label}/7") if way.helper == "redis" else None
        print(
            f"| {way.name} | {result['rate']:,.0f} | {result['p50'] * 1e3:.2f} | {result['nginx']:.1f}"
            f" | {result['helper']:.1f} | {sent(bench, way, label):,} | {f'{memory:,}' if memory else ''} |",
            flush=True,
        )
    rows(bench, client, label, medians)


def rows(bench, client, label, medians):
    ours, plain = "redis_cache_compress gzip", "redis_cache, http form, gzip on"
    proxy, least = "proxy_cache on tmpfs, gzip on", {"16k": 0.10, "128k": 0.08}[label]
    if not {ours, plain, proxy} <= medians.keys():
        return
    memory = [client.memory_usage(f"{prefix}/{label}/7") for prefix in ["/b-gzip", "/b-http"]]
    goals = [
        (f"{label}, browser: nginx CPU against proxy_cache with gzip on", medians[ours]["nginx"] / medians[proxy]["nginx"], least),
        (f"{label}: Redis memory against uncompressed", memory[0] / memory[1], 0.4),
    ]
    decoded, identity = "no gzip: redis_cache_compress gzip", "no gzip: redis_cache, http form"
    if label == "16k" and {decoded, identity} <= medians.keys():
        ratio = medians[decoded]["nginx"] / medians[identity]["nginx"]
        goals.append((f"{label}, no gzip: nginx CPU decoded against as stored", ratio, 2))
    print("\n| figure | measured | goal | |\n|---|---|---|---|")
    for name, value, goal in goals:
        print(f"| {name} | {value:.3f} | <= {goal} | {'met' if value <= goal else 'missed'} |")

#!/usr/bin/env python3
"""`make bench`: what a hit costs, beside everything that it is measured against.

One nginx worker on one core, wrk on the other; all ways to answer run in turn, round after round,
and the medians are printed as Markdown. CPU a request is the steadiest figure: ticks of the
process, divided by the requests that wrk counted.

    benches/bench.py [--rounds N] [--seconds N] [--only WORD] [--quick]
"""

import argparse
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from support.certificates import Certificates  # noqa: E402
from support.cluster import Cluster  # noqa: E402
from support.ports import free_port, listens, wait_for  # noqa: E402

import browser  # noqa: E402
import redis  # noqa: E402
from goals import goals  # noqa: E402
from report import machine, parse_wrk, table  # noqa: E402

MODULE = Path(os.environ.get("REDIS_CACHE_MODULE", ROOT / "build/ngx_http_redis_cache_module.so"))
LUA_MODULES = Path("/usr/lib/nginx/modules")
TICK = os.sysconf("SC_CLK_TCK")
SIZES = {"1k": 1 << 10, "16k": 16 << 10, "128k": 128 << 10, "1m": 1 << 20}
KEYS = {"1k": 1000, "16k": 1000, "128k": 200, "1m": 50}

# A GET over nginx's Lua sockets with a keepalive pool: what lua-resty-redis does, without its
# wrapping; Debian has the module and not the library.
LUA = """
    local sock = ngx.socket.tcp()
    assert(sock:connect("unix:REDIS"))
    local key = ngx.var.uri
    sock:send{"*2\\r\\n$3\\r\\nGET\\r\\n$", #key, "\\r\\n", key, "\\r\\n"}
    local line = assert(sock:receive())
    local size = tonumber(line:sub(2))
    if size < 0 then return ngx.exit(404) end
    local body = sock:receive(size)
    sock:receive(2)
    sock:setkeepalive(10000, 100)
    ngx.header.content_length = size
    ngx.print(body)
"""


@dataclass
class Way:
    """One way to answer: its name, the prefix of its locations, and who helps nginx."""

    name: str
    prefix: str
    helper: str = ""
    headers: tuple = ()


WAYS = [
    Way("return 200", "/return"),
    Way("static file", "/static"),
    Way("redis_cache, event", "/event", "redis"),
    Way("redis_cache, event, http form", "/http", "redis"),
    Way("redis_cache in place, http form", "/place", "redis"),
    Way("redis_cache, event, TCP", "/tcp", "redis"),
    Way("redis_cache, event, TLS", "/tls", "redis"),
    Way("redis_cache, event, Cluster", "/cluster", "cluster"),
    Way("redis_cache, blocking", "/blocking", "redis"),
    Way("proxy_cache on tmpfs", "/proxy"),
    Way("memcached_pass", "/memcached", "memcached"),
    Way("Lua cosocket", "/lua", "redis"),
]

# What storing adds to a miss; the application is the same worker, so its cost is in both.
MISSES = [
    Way("proxy_pass", "/miss"),
    Way("proxy_pass, looked up and stored", "/fill", "redis"),
]


class Bench:
    def __init__(self, directory: Path):
        self.directory = directory
        self.port = free_port()
        self.redis_port = free_port()
        self.tls_port = free_port()
        self.certificates = Certificates(directory / "certificates")
        self.redis_socket = directory / "redis.sock"
        self.lua = LUA.replace("REDIS", str(self.redis_socket))
        self.memcached_socket = directory / "memcached.sock"
        self.shm = Path(tempfile.mkdtemp(prefix="nrc-bench-", dir="/dev/shm"))
        self.cluster = Cluster(directory / "cluster")
        self.processes = []
        self.pids = {}

    def __enter__(self):
        (self.directory / "logs").mkdir()
        good = self.certificates.good
        self._spawn("redis", [
            "redis-server", "--port", str(self.redis_port), "--bind", "127.0.0.1", "--save", "",
            "--unixsocket", str(self.redis_socket), "--dir", str(self.directory),
            "--tls-port", str(self.tls_port), "--tls-auth-clients", "no",
            "--tls-cert-file", str(good.certificate), "--tls-key-file", str(good.key),
            "--tls-ca-cert-file", str(self.certificates.authority.certificate),
        ])  # fmt: skip
        self._spawn("memcached", [
            "memcached", "-u", "root", "-s", str(self.memcached_socket), "-m", "1024", "-I", "4m",
            "-t", "1",
        ])  # fmt: skip
        self.cluster.start()
        self.pids["cluster"] = [node.process.pid for node in self.cluster.nodes]
        wait_for(lambda: listens(self.redis_port), "redis-server")
        wait_for(self.memcached_socket.exists, "memcached")
        self._fill()
        (self.directory / "nginx.conf").write_text(self._config())
        self._spawn("master", ["nginx", "-p", str(self.directory), "-c", "nginx.conf"])
        wait_for(lambda: listens(self.port), "nginx")
        master = self.pids["master"]
        children = Path(f"/proc/{master}/task/{master}/children")
        self.pids["nginx"] = int(wait_for(children.read_text, "a worker").split()[0])
        browser.warm(self)
        return self

    def __exit__(self, *_):
        self.cluster.stop()
        for process in reversed(self.processes):
            process.send_signal(signal.SIGCONT)
            process.terminate()
            process.wait(10)
        shutil.rmtree(self.shm, ignore_errors=True)

    def _spawn(self, name, command):
        log = open(self.directory / "logs" / f"{name}.log", "wb")
        process = subprocess.Popen(command, stdout=log, stderr=log)
        self.processes.append(process)
        self.pids[name] = process.pid

    def _fill(self):
        import socket

        client, cluster = redis.Redis(port=self.redis_port), self.cluster.client()
        memcached = socket.socket(socket.AF_UNIX)
        memcached.connect(str(self.memcached_socket))
        browser.fill(self, client, memcached)
        static = self.directory / "static"
        static.mkdir()
        for label, size in SIZES.items():
            (static / label).mkdir()
            for number in range(KEYS[label]):
                body = (f"{label} {number} ".encode() * (size // 4))[:size]
                for prefix in ["event", "tcp", "tls", "blocking", "lua"]:
                    client.set(f"/{prefix}/{label}/{number}", body)
                cluster.set(f"/cluster/{label}/{number}", body)
                head = (
                    "HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\n"
                    'ETag: "5f3-abc"\r\nLast-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\n'
                    "Cache-Control: max-age=300\r\nX-Frame-Options: DENY\r\n"
                    f"Redis-Cache: v=1, stored={int(time.time() * 1000)}, fresh=99999999\r\n\r\n"
                )
                for prefix in ["http", "place"]:
                    client.set(f"/{prefix}/{label}/{number}", head.encode() + body)
                command = b"set /memcached/%s/%d 0 0 %d\r\n%s\r\n"
                memcached.sendall(command % (label.encode(), number, size, body))
                memcached.recv(100)
                (static / label / str(number)).write_bytes(body)

    def _config(self) -> str:
        if not (LUA_MODULES / "ngx_http_lua_module.so").exists():
            raise SystemExit("bench: the Lua module is missing: `make bench` installs it")
        pieces = "".join(
            f"location /return/{label}/ {{ return 200 \"{repeated(size)}\"; }}\n"
            for label, size in SIZES.items()
        )
        seeds = "".join(f"server {node.url};" for node in self.cluster.nodes)
        return f"""
            load_module {MODULE};
            load_module {LUA_MODULES}/ndk_http_module.so;
            load_module {LUA_MODULES}/ngx_http_lua_module.so;
            user root; daemon off; worker_processes 1; worker_cpu_affinity 01;
            pid {self.directory}/nginx.pid; error_log {self.directory}/logs/error.log warn;
            worker_rlimit_nofile 20000;
            events {{ worker_connections 8192; }}
            http {{
                access_log off; keepalive_requests 1000000000; default_type text/html;
                sendfile on; tcp_nopush on;
                {self.certificates.trusted}
                redis_cache_upstream nodes {{ cluster; {seeds} }}
                open_file_cache max=10000; proxy_temp_path {self.shm}/temp;
                proxy_cache_path {self.shm}/cache keys_zone=bench:10m;
                lua_package_path "/usr/share/lua/5.1/?.lua;;";
                upstream origin {{ server 127.0.0.1:{self.port}; keepalive 300; }}
                upstream memcached {{ server unix:{self.memcached_socket}; keepalive 300; }}
                map "" $part {{ default "{'x' * 2048}"; }}
                server {{
                    listen 127.0.0.1:{self.port} backlog=1024;
                    {pieces}
                    location /static/ {{ alias {self.directory}/static/; }}
                    location /http/ {{
                        redis_cache_pass unix:{self.redis_socket}; redis_cache_key $uri;
                        redis_cache_timeout 2s;
                    }}
                    {self._raw_locations()} {browser.locations(self, self.lua)}
                    location /place/ {{
                        redis_cache unix:{self.redis_socket}; redis_cache_key $uri;
                        redis_cache_timeout 2s; proxy_pass http://127.0.0.1:1;
                    }}
                    proxy_http_version 1.1; proxy_set_header Connection "";
                    location /origin/ {{ add_header Cache-Control max-age=5; return 200 "{'x' * 1024}"; }}
                    location /miss/ {{ proxy_pass http://origin/origin/; }}
                    location /fill/ {{
                        redis_cache unix:{self.redis_socket}; redis_cache_timeout 2s;
                        redis_cache_store on; redis_cache_key $request_id;
                        proxy_pass http://origin/origin/;
                    }}
                    location /memcached/ {{
                        set $memcached_key $uri; memcached_pass memcached;
                        memcached_buffer_size 16k;
                    }}
                    location /lua/ {{ content_by_lua_block {{ {self.lua} }} }}
                    location /proxy/ {{
                        proxy_pass http://127.0.0.1:{self.port}/static/;
                        proxy_cache bench; proxy_cache_valid 1h;
                    }}
                }}
            }}
        """

    def _raw_locations(self) -> str:
        ours = {
            "event": f"unix:{self.redis_socket}",
            "tcp": f"redis://127.0.0.1:{self.redis_port}",
            "tls": f"rediss://127.0.0.1:{self.tls_port}",
            "blocking": f"unix:{self.redis_socket}",
            "cluster": "nodes",
        }
        return "".join(
            f"""
            location /{name}/ {{
                redis_cache_pass {url}; redis_cache_key $uri; redis_cache_format raw;
                redis_cache_timeout 2s; redis_cache_io {"blocking" if name == "blocking" else "event"};
            }}"""
            for name, url in ours.items()
        )

    def cpu(self, name: str) -> float:
        """Seconds of CPU that a process, or several together, have used."""
        pids = self.pids[name]
        ticks = 0
        for pid in pids if isinstance(pids, list) else [pids]:
            fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
            ticks += int(fields[11]) + int(fields[12])
        return ticks / TICK

    def reads_and_commands(self):
        with redis.Redis(port=self.redis_port) as client:
            stats = client.info("stats")
            return stats["total_reads_processed"], stats["total_commands_processed"]

    def wrk(self, path, keys, connections, seconds, headers=()):
        script = self.directory / "keys.lua"
        fields = "".join(f'wrk.headers["{name}"] = "{value}"\n' for name, value in headers)
        script.write_text(
            f"local n = {keys}\nmath.randomseed(7)\n{fields}"
            f'request = function() return wrk.format("GET", "{path}/" .. math.random(0, n - 1)) end'
        )
        command = [
            "taskset", "-c", "1", "wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency",
            "-s", str(script), f"http://127.0.0.1:{self.port}",
        ]  # fmt: skip
        out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        return parse_wrk(out)

    def measure(self, way: Way, label: str, keys: int, connections: int, seconds: float) -> dict:
        helper = way.helper
        before = self.cpu("nginx"), self.cpu(helper) if helper else 0, self.reads_and_commands()
        result = self.wrk(f"{way.prefix}/{label}", keys, connections, seconds, way.headers)
        after = self.cpu("nginx"), self.cpu(helper) if helper else 0, self.reads_and_commands()
        requests = max(result["requests"], 1)
        result["nginx"] = (after[0] - before[0]) * 1e6 / requests
        result["helper"] = (after[1] - before[1]) * 1e6 / requests
        # INFO itself is read once in between.
        result["reads"] = (after[2][0] - before[2][0] - 1) / requests
        result["commands"] = (after[2][1] - before[2][1] - 1) / requests
        return result


def repeated(size: int) -> str:
    """A string of nginx for a body; one token of a configuration holds at most 4 KiB."""
    return "x" * size if size <= 2048 else "$part" * (size // 2048)


def rounds(bench, ways, label, keys, connections, options):
    """Medians of interleaved rounds, by name of the way."""
    found = {way.name: [] for way in ways}
    for _ in range(options.rounds):
        for way in ways:
            result = bench.measure(way, label, keys, connections, options.seconds)
            if result["bad"] or result["errors"]:
                print(f"bench: {way.name} {label}: {result}", file=sys.stderr)
            found[way.name].append(result)
    median = lambda results, key: statistics.median(result[key] for result in results)  # noqa: E731
    keys_of = ["rate", "p50", "p99", "nginx", "helper", "reads", "commands"]
    return {name: {key: median(results, key) for key in keys_of} for name, results in found.items()}


def hanging(bench, seconds):
    """Another location of the same worker, while Redis answers and while it is stopped."""
    print("\n### Another location of the same worker while Redis hangs\n")
    print("| Redis | way | p50 ms | p99 ms of the other location |\n|---|---|---|---|")
    for prefix in ["/event", "/blocking"]:
        for state in ["answers", "hangs"]:
            if state == "hangs":
                os.kill(bench.pids["redis"], signal.SIGSTOP)
            load = subprocess.Popen(
                ["taskset", "-c", "1", "wrk", "-t1", "-c4", f"-d{seconds}s",
                 f"http://127.0.0.1:{bench.port}{prefix}/1k/1"],
                stdout=subprocess.DEVNULL,
            )  # fmt: skip
            other = bench.wrk("/return/1k", 1, 1, seconds)
            load.wait()
            os.kill(bench.pids["redis"], signal.SIGCONT)
            time.sleep(2.5)
            print(f"| {state} | {prefix[1:]} | {other['p50'] * 1e3:.2f} | {other['p99'] * 1e3:.2f} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--only", default="", help="ways whose name contains the word")
    parser.add_argument("--quick", action="store_true", help="64 connections, 1,000 keys alone")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="nrc-bench-") as directory, Bench(Path(directory)) as bench:
        machine()
        ways = [way for way in WAYS if options.only in way.name]
        found = {}
        for label in SIZES:
            found[label] = rounds(bench, ways, label, KEYS[label], 64, options)
            table(f"{label}, {KEYS[label]} keys, 64 connections, unix socket", found[label])
        with redis.Redis(port=bench.redis_port) as client:
            seen = [way for way in browser.WAYS if options.only in way.name]
            for label in browser.SIZES if seen else ():
                medians = rounds(bench, seen, label, browser.KEYS, 64, options)
                browser.table(bench, client, label, medians)
        if seen:
            browser.beside(bench, 3 * options.seconds)
        table("A miss, 1k, 64 connections", rounds(bench, MISSES, "1k", 1000, 64, options))
        if not options.quick:
            found["hot"] = rounds(bench, ways, "16k", 1, 64, options)
            table("16k, one key, 64 connections", found["hot"])
            found["one connection"] = rounds(bench, ways, "1k", 1000, 1, options)
            table("1k, 1000 keys, one connection", found["one connection"])
            table("1k, 1000 keys, 256 connections", rounds(bench, ways, "1k", 1000, 256, options))
            if not options.only:
                goals(found)
                hanging(bench, options.seconds)
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""What a Redis server can put on the wire that is no good answer to a GET, by name."""

ERROR_REPLIES = {
    "noauth": b"-NOAUTH Authentication required.\r\n",
    "noauth wrongpass": b"-WRONGPASS invalid username-password pair or user is disabled.\r\n",
    "loading": b"-LOADING Redis is loading the dataset in memory\r\n",
    "wrong_type": b"-WRONGTYPE Operation against a key holding the wrong kind of value\r\n",
    "oom": b"-OOM command not allowed when used memory > 'maxmemory'.\r\n",
    "readonly": b"-READONLY You can't write against a read only replica.\r\n",
    "moved": b"-MOVED 3999 127.0.0.1:6381\r\n",
    "moved ask": b"-ASK 3999 127.0.0.1:6381\r\n",
    "masterdown": b"-MASTERDOWN Link with MASTER is down and replica-serve-stale-data is 'no'.\r\n",
    "noperm": b"-NOPERM this user has no permissions to run the 'get' command\r\n",
    "error_reply": b"-ERR something\r\n",
    "error_reply without text": b"-\r\n",
    "error_reply bulk": b"!10\r\nSYNTAX bad\r\n",
}

WRONG_REPLIES = {
    "integer": b":1\r\n",
    "status": b"+OK\r\n",
    "empty status": b"+\r\n",
    "array": b"*2\r\n$1\r\na\r\n$1\r\nb\r\n",
    "array of one page": b"*1\r\n$1\r\na\r\n",
    "empty array": b"*0\r\n",
    "map": b"%1\r\n+a\r\n+b\r\n",
    "set": b"~1\r\n+a\r\n",
    "verbatim": b"=5\r\ntxt:a\r\n",
    "double": b",1.5\r\n",
    "boolean": b"#t\r\n",
    "big number": b"(123\r\n",
    "garbage": b"HTTP/1.1 400 Bad Request\r\n\r\n",
    "binary garbage": bytes(range(256)) * 4,
    "unknown type": b"?\r\n",
    "only a line end": b"\r\n",
    "wrong terminator": b"$1\r\naXX",
    "longer than told": b"$1\r\nabc\r\n",
    "no length": b"$\r\n",
    "length no number": b"$x\r\nabc\r\n",
    "length with sign in it": b"$1-1\r\na\r\n",
    "negative length": b"$-2\r\n",
    "very negative length": b"$-9223372036854775808\r\n",
    "length beyond 64 bits": b"$99999999999999999999999999\r\na\r\n",
    "chunked string": b"$?\r\n;1\r\na\r\n;0\r\n",
    "deep nesting": b"*1\r\n" * 100_000,
}

# Faults that a reader may fairly name in more than one way.
OTHER_REPLIES = {
    "error that is no text": (b"-ERR \xff\x00 odd\r\n", ["error_reply", "protocol"]),
    "push and no reply": (b">2\r\n+pubsub\r\n+x\r\n", ["protocol", "timeout"]),
    "attribute and no reply": (b"|1\r\n+a\r\n+b\r\n", ["protocol", "timeout"]),
    "length with plus": (b"$+1\r\na\r\n", ["protocol", "entry"]),
    "line end of one byte": (b"$1\na\n", ["protocol", "timeout"]),
}

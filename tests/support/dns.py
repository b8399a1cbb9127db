"""A name server on loopback whose records change while it runs, or that fails as told."""

import socket
import threading
from enum import Enum

import dns.exception
import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset


class Fault(Enum):
    SILENT = "silent"
    SERVFAIL = "SERVFAIL"
    NXDOMAIN = "NXDOMAIN"


class DnsServer:
    """Answers from `records`, a name with its IPv4 addresses, for `ttl` seconds; with `fault` set
    in that way instead. `questions` are the names that were asked for by A."""

    def __init__(self, ttl: int = 1):
        self.records: dict[str, list[str]] = {}
        self.ttl = ttl
        self.fault: Fault | None = None
        self.questions: list[str] = []
        self.socket = socket.socket(type=socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.stopping = False
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    @property
    def directive(self) -> str:
        return f"resolver 127.0.0.1:{self.port}; resolver_timeout 1s;"

    def stop(self):
        self.stopping = True
        with socket.socket(type=socket.SOCK_DGRAM) as waker:
            waker.sendto(b"", ("127.0.0.1", self.port))
        self.thread.join(5)
        self.socket.close()

    def _serve(self):
        while True:
            data, client = self.socket.recvfrom(4096)
            if self.stopping:
                return
            try:
                query = dns.message.from_wire(data)
            except dns.exception.DNSException:
                continue
            if answer := self._answer(query):
                self.socket.sendto(answer.to_wire(), client)

    def _answer(self, query: dns.message.Message) -> dns.message.Message | None:
        question = query.question[0]
        name = question.name.to_text(omit_final_dot=True).lower()
        if question.rdtype == dns.rdatatype.A:
            self.questions.append(name)
        if self.fault is Fault.SILENT:
            return None
        answer = dns.message.make_response(query)
        answer.flags |= dns.flags.AA
        if self.fault is Fault.SERVFAIL:
            answer.set_rcode(dns.rcode.SERVFAIL)
        elif self.fault is Fault.NXDOMAIN or name not in self.records:
            answer.set_rcode(dns.rcode.NXDOMAIN)
        elif question.rdtype == dns.rdatatype.A:
            addresses = self.records[name]
            answer.answer = [dns.rrset.from_text(question.name, self.ttl, "IN", "A", *addresses)]
        return answer

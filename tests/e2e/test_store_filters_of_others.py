"""Filter modules of others, loaded before this module or after it, as Debian packages them: what the
application sent is stored, and what a filter makes of it for one visitor is made anew for the next."""

import struct
import zlib
from dataclasses import dataclass, field

import pytest
from support.origin import Answer
from support.pages import FRESH, HTML, count, settled

BODY = b"<p>Hello <!--user--></p>" + b" " * 200


@dataclass
class Filter:
    """`files` are loaded; `location` has the filter greet the visitor, or mark a field."""

    files: list[str]
    location: str
    http: str = ""
    body: bytes = BODY
    headers: list = field(default_factory=lambda: [*FRESH, HTML, ("X-User", "nobody")])
    accepts: str | None = None
    is_personal: bool = True


def png(width=40, height=40) -> bytes:
    def chunk(kind, data):
        whole = kind + data
        return struct.pack(">I", len(data)) + whole + struct.pack(">I", zlib.crc32(whole))

    rows = (b"\0" + b"\1" * width) * height
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )  # fmt: skip


SHEET = """<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform">
<xsl:param name="user"/><xsl:template match="/"><p>Hello <xsl:value-of select="$user"/></p>
</xsl:template></xsl:stylesheet>"""

SCRIPT = """
function body(r, data, flags) {
    r.sendBuffer(data.replace('<!--user-->', r.variables.cookie_name), flags);
}
function head(r) {
    delete r.headersOut['Content-Length'];
    r.headersOut['X-User'] = r.variables.cookie_name;
}
export default {body, head};
"""

LUA = """
header_filter_by_lua_block {
    ngx.header.content_length = nil
    ngx.header["X-User"] = ngx.var.cookie_name
}
body_filter_by_lua_block {
    ngx.arg[1] = string.gsub(ngx.arg[1], "<!%-%-user%-%->", ngx.var.cookie_name)
}
"""

FILTERS = {
    "subs_filter": Filter(
        ["ngx_http_subs_filter_module"], "subs_filter '<!--user-->' '$cookie_name'; add_header X-User $cookie_name;"
    ),
    "headers-more": Filter(
        ["ngx_http_headers_more_filter_module"], "more_set_headers 'X-User: $cookie_name' 'Content-Type: text/x';"
    ),
    "headers-more, clear": Filter(["ngx_http_headers_more_filter_module"], "more_clear_headers X-User;", is_personal=False),
    "lua": Filter(["ndk_http_module", "ngx_http_lua_module"], LUA),
    "js": Filter(
        ["ngx_http_js_module"],
        "js_header_filter main.head; js_body_filter main.body buffer_type=string;",
        http="js_path DIRECTORY; js_import main from script.js;",
    ),
    "echo": Filter(["ngx_http_echo_module"], "echo_before_body 'Hello $cookie_name'; echo_after_body $cookie_name;"),
    "brotli": Filter(["ngx_http_brotli_filter_module"], "brotli on; brotli_min_length 1;", accepts="br", is_personal=False),
    "xslt": Filter(
        ["ngx_http_xslt_filter_module"],
        "xslt_stylesheet DIRECTORY/sheet.xslt; xslt_types text/xml; xslt_string_param user $cookie_name;",
        body=b"<page/>",
        headers=[*FRESH, ("Content-Type", "text/xml"), ("X-User", "nobody")],
    ),
    "image_filter": Filter(
        ["ngx_http_image_filter_module"],
        "image_filter resize $cookie_size -;",
        body=png(),
        headers=[*FRESH, ("Content-Type", "image/png"), ("X-User", "nobody")],
    ),
}  # fmt: skip

VISITORS = [{"Cookie": "name=Alice; size=20"}, {"Cookie": "name=Bob; size=10"}]


@pytest.fixture(params=["before", "after"])
def order(request):
    """Where the others stand, seen from this module."""
    return request.param


@pytest.fixture
def around(store, tmp_path, order, door):
    """`around(filter)`: an nginx that stores with the modules of others loaded before or after."""
    (tmp_path / "script.js").write_text(SCRIPT)
    (tmp_path / "sheet.xslt").write_text(SHEET)

    def start(filter):
        load = "load_module /usr/lib/nginx/modules/{}.so;\n"
        others = "".join(load.format(file) for file in filter.files)
        location = filter.location.replace("DIRECTORY", str(tmp_path))
        return store(
            # A hit is answered in the location of redis_cache_pass.
            location=location if door == "pass" else "",
            app=location,
            http=filter.http.replace("DIRECTORY", str(tmp_path)),
            **{"modules" if order == "before" else "main": others},
        )

    return start


@pytest.mark.parametrize("name", FILTERS)
def test_the_page_of_the_application_is_stored(around, origin, stored, name):
    filter = FILTERS[name]
    origin.answer = lambda asked: Answer(filter.body, headers=filter.headers)
    nginx = around(filter)
    accepts = {"Accept-Encoding": filter.accepts} if filter.accepts else {}
    seen = [settled(nginx, headers={**who, **accepts}) for who in [*VISITORS, *VISITORS]]
    assert count(origin, "/p") == 1
    value = stored(nginx)
    assert value.endswith(b"\r\n\r\n" + filter.body) and b"X-User: nobody\r\n" in value
    assert f"Content-Type: {dict(filter.headers)['Content-Type']}".encode() in value
    # Each visitor gets what is his, and the same from Redis as from the application.
    seen = [(response.body, response.header("X-User")) for response in seen]
    assert seen[:2] == seen[2:] and (seen[0] != seen[1]) == filter.is_personal

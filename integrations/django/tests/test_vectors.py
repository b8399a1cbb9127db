"""The frozen forms: the same files that the module of nginx is tested with."""

import base64
import hashlib
import json

import pytest
from conftest import VECTORS

from nginx_redis_cache import coding, entry, fields, keys, request


def vectors(name):
    found = json.loads((VECTORS / f"{name}.json").read_text())["vectors"]
    assert found
    return [pytest.param(vector, id=vector["name"]) for vector in found]


def data(vector, name):
    if f"{name}_base64" in vector:
        return base64.b64decode(vector[f"{name}_base64"])
    return vector[name].encode() if vector.get(name) is not None else None


@pytest.mark.parametrize("vector", vectors("key"))
def test_key(vector):
    shape = keys.KeyShape(vector["prefix"].encode(), vector["hash"])
    host, target = data(vector, "host"), data(vector, "target")

    def text():
        if vector["form"] == "raw":
            return keys.raw_text(host, target)
        return keys.http_text(vector["scheme"], host, target)

    if "reason" in vector:
        with pytest.raises(keys.KeyFault, match=vector["reason"]):
            text()
        return
    assert text() == data(vector, "text")
    key = shape.key(text())
    assert key == data(vector, "key")
    shape.check(key)


@pytest.mark.parametrize("vector", vectors("args"))
def test_args(vector):
    args = request.Args.parse(" ".join(vector["args"]))
    assert args.target(data(vector, "target")) == data(vector, "left")


@pytest.mark.parametrize("vector", vectors("cookies"))
def test_cookies(vector):
    found = request.selected(vector["names"], data(vector, "cookie"))
    assert request.suffix_of(found) == data(vector, "suffix")
    assert request.field_of(found) == data(vector, "field")


@pytest.mark.parametrize("vector", vectors("key_header"))
def test_key_header(vector):
    key = data(vector, "key")
    assert keys.header_form(key) == vector["header"]
    if vector["header"] is not None:
        assert keys.from_header(vector["header"]) == key


@pytest.mark.parametrize("vector", vectors("marker"))
def test_marker(vector):
    found = entry.decode(data(vector, "stored"))
    if "reason" in vector:
        assert found is None
        return
    marker = vector["marker"]
    assert found == entry.Marker(frozenset(marker["vary"]), marker["generation"])


def test_markers_are_written_as_the_vectors_have_them():
    written = [v.values[0] for v in vectors("marker") if v.values[0]["name"].startswith("as a")]
    assert len(written) == 2
    for vector in written:
        marker = vector["marker"]
        made = entry.Marker(frozenset(marker["vary"]), marker["generation"])
        assert made.encoded() == data(vector, "stored")


@pytest.mark.parametrize("vector", vectors("tombstone"))
def test_tombstone(vector):
    found = entry.decode(data(vector, "stored"))
    assert isinstance(found, entry.Tombstone) == vector.get("tombstone", False)
    if vector["name"] == "as a writer writes it":
        assert found.encoded() == data(vector, "stored")


@pytest.mark.parametrize("vector", vectors("variant"))
def test_variant(vector):
    lines = {}
    for line in vector["request"]:
        lines.setdefault(line["name"].lower(), []).append(data(line, "value").decode("latin-1"))

    def header(name):
        return ", ".join(lines[name]) if name in lines else None

    for field in vector["normalised"]:
        value = header(field["name"])
        normal = (
            None if value is None else fields.normalised(field["name"], value).encode("latin-1")
        )
        assert normal == data(field, "value")
    marker = entry.Marker(frozenset(n.lower() for n in vector["vary"]), vector["generation"])
    assert entry.variant_text(marker.vary, header) == data(vector, "hashed")
    key = entry.variant_key(data(vector, "key"), marker, header)
    assert key == data(vector, "variant_key")
    assert key.endswith(hashlib.sha256(data(vector, "hashed")).hexdigest().encode())


@pytest.mark.parametrize("vector", vectors("coded"))
def test_coded(vector):
    def pairs(name):
        return [(line["name"], line["value"]) for line in vector[name]]

    assert coding.applies(pairs("headers")) == ("coded" in vector)
    if "coded" in vector:
        found = coding.coded_headers(vector["coding"], pairs("headers"))
        assert found == (pairs("coded_headers"), vector["coded"])


@pytest.mark.parametrize("vector", vectors("entry"))
def test_a_page_is_neither_marker_nor_tombstone(vector):
    found = entry.decode(data(vector, "stored"))
    if vector.get("reason") == "gone":
        assert isinstance(found, entry.Tombstone)
    elif "page" in vector:
        assert found is None

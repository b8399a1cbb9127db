"""Nothing of an editor is in the cache, and no editor gets anything from it."""

from apps.crawl import read


def test_an_editor_has_his_own_pages_and_leaves_none_behind(edge):
    """He is the first to see every page, and strangers come after him."""
    editor = edge.login()
    for target in edge.targets:
        page = editor.get(target)
        assert page.cache is None or page.cache[0] != "hit", target
    assert (
        edge.app.mark in editor.get("/").body or edge.app.mark in editor.get(edge.targets[0]).body
    )
    for key, value in edge.stored().items():
        assert edge.app.mark not in value, key
    pages = {target: edge.site.says(target) for target in edge.targets}
    for _ in range(2):
        seen = read(edge.site, pages, edge.cached)
        assert not seen.wrong, seen


def test_an_editor_is_not_sent_the_page_of_strangers(edge):
    target = edge.targets[0]
    edge.warm(target)
    page = edge.login().get(target)
    assert page.cache[1].startswith("bypass")
    assert edge.app.mark in page.body
    again = edge.visit(target)
    assert again.cache[0] == "hit"
    assert edge.app.mark not in again.body


def test_a_login_does_not_throw_the_front_page_away(edge):
    front = edge.app.front
    edge.warm(front)
    edge.login()
    assert edge.visit(front).cache[0] == "hit"


def test_a_login_that_fails_leaves_nothing_behind(edge):
    front = edge.app.front
    edge.warm(front)
    edge.app.fails_to_log_in(edge.cached)
    assert edge.visit(front).cache[0] == "hit"
    for key, value in edge.stored().items():
        assert b"nobody-such" not in value, key


def test_only_this_machine_may_purge(edge):
    """With the recipe as it is; who else may is in the tests of the directive."""
    front = edge.app.front
    edge.warm(front)
    assert edge.visitor().request("PURGE", front).status == 200
    assert edge.visit(front).cache[0] != "hit"

"""What is saved is seen at once, also where it is linked to; what is for friends stays among them."""

from apps.dokuwiki import START


def test_an_edit_is_seen_at_once(edge):
    editor = edge.login()
    edge.warm("/page1", "/feed.php")
    editor.edit("page1", "Words that were written just now.")
    assert b"written just now" in edge.visit("/page1").body
    assert b"page1" in edge.visit("/feed.php").body
    edge.warm("/page1")


def test_the_front_page_changes_under_both_its_names(edge):
    editor = edge.login()
    edge.warm("/", "/start")
    editor.edit("start", f"{START} Begin here.")
    for target in ("/", "/start"):
        assert b"Begin here." in edge.visit(target).body, target


def test_a_page_that_comes_is_a_link_where_it_was_missed(edge):
    editor = edge.login()
    editor.edit("page3", "See [[justborn]].")
    # A picture in every page has the index of links kept.
    assert editor.get("/lib/exe/taskrunner.php?id=page3").status == 200
    edge.warm("/page3")
    assert b'class="wikilink2"' in edge.visit("/page3").body
    editor.edit("justborn", "It is there.")
    assert b"It is there." in edge.visit("/justborn").body
    assert b'class="wikilink2"' not in edge.visit("/page3").body


def test_what_is_for_friends_stays_among_them(edge):
    editor = edge.login()
    for _ in range(2):
        assert b"Among friends." in editor.get("/friends/secret").body
        assert b"Among friends." not in edge.visit("/friends/secret").body
    for value in edge.stored().values():
        assert b"Among friends." not in value

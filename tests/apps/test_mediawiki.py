"""MediaWiki purges what an edit changes, by its own settings."""

import time


def test_an_edit_is_seen_at_once(edge):
    editor = edge.login()
    history = "/index.php?title=Page_1&action=history"
    edge.warm("/wiki/Page_1", history)
    editor.edit("Page_1", "Words that were written just now.")
    assert b"written just now" in edge.visit("/wiki/Page_1").body
    assert edge.visit(history).cache[0] != "hit"
    edge.warm("/wiki/Page_1")


def test_a_page_that_comes_is_seen_where_it_was_missed(edge):
    editor = edge.login()
    page = edge.visit("/wiki/Just_born")
    assert page.status == 404
    editor.edit("Just_born", "It is there.")
    assert b"It is there." in edge.visit("/wiki/Just_born").body


def test_pages_with_a_template_change_with_it(edge):
    editor = edge.login()
    edge.warm("/wiki/Page_10", "/wiki/Page_20")
    # What MediaWiki keeps of a page it takes for newer than a change of the same second.
    time.sleep(1)
    editor.edit("Template:Box", "Boxed otherwise.")
    edge.app.run_jobs()
    for target in ("/wiki/Page_10", "/wiki/Page_20"):
        assert b"Boxed otherwise." in edge.visit(target).body, target


def test_a_form_of_an_editor_is_in_no_cache(edge):
    editor = edge.login()
    form = editor.get("/index.php?title=Page_2&action=edit")
    assert b"wpEditToken" in form.body
    editor.get("/wiki/Special:Preferences")
    for value in edge.stored().values():
        assert b"wpEditToken" not in value

"""What an editor and those who comment do is seen at once, and only by whom it is for."""

import re

LISTS = ("/", "/category/land/", "/tag/tag1/", "/author/editor/", "/feed/")


def titled(page) -> bytes:
    assert page.status == 200
    return page.body


def comment(visitor, post: int, text: str):
    fields = {
        "comment_post_ID": post,
        "comment": text,
        "author": "Bob",
        "email": "bob@example.com",
    }
    answer = visitor.post("/wp-comments-post.php", fields)
    assert answer.status == 302, answer.body
    return answer.header("Location").removeprefix("http://www.example.com").partition("#")[0]


def test_an_edit_is_seen_wherever_the_post_is(edge):
    editor = edge.login()
    newest = max(range(1, 56), key=lambda n: (1 + n % 12, 1 + n % 28))
    target = f"/post-{newest}/"
    edge.warm(target, "/", "/feed/")
    editor.api(f"posts/{edge.app.ids[f'post-{newest}']}", {"title": "Quite another title"})
    for seen in (target, "/", "/feed/"):
        assert b"Quite another title" in titled(edge.visit(seen)), seen


def test_what_is_published_is_in_the_lists_and_what_is_taken_back_is_not(edge):
    editor = edge.login()
    edge.warm(*LISTS)
    fields = {
        "title": "Fresh from the press",
        "status": "draft",
        "content": "<p>News.</p>",
    }
    terms = {
        "categories": [found(editor, "categories", "land")],
        "tags": [found(editor, "tags", "tag1")],
    }
    post = editor.api("posts", fields | terms)
    for target in LISTS:
        assert b"Fresh from the press" not in titled(edge.visit(target)), target
    public = editor.api(f"posts/{post['id']}", {"status": "publish"})
    for target in LISTS:
        assert b"Fresh from the press" in titled(edge.visit(target)), target
    own = f"/{public['slug']}/"
    edge.warm(own, *LISTS)
    editor.api(f"posts/{post['id']}", {"status": "draft"})
    assert edge.visit(own).status == 404
    for target in LISTS:
        assert b"Fresh from the press" not in titled(edge.visit(target)), target


def found(editor, kind: str, slug: str) -> int:
    answer = editor.get(f"/wp-json/wp/v2/{kind}?slug={slug}&_fields=id")
    return int(re.search(rb'"id":(\d+)', answer.body)[1])


def test_a_draft_is_seen_by_its_author_alone(edge):
    editor = edge.login()
    target = f"/?p={edge.app.ids['draft-post']}&preview=true"
    assert b"Not ready." in editor.get(target).body
    assert b"Not ready." not in edge.visit(target).body
    assert b"Among editors." in editor.get("/private-post/").body
    assert edge.visit("/private-post/").status == 404
    for value in edge.stored().values():
        assert b"Not ready." not in value and b"Among editors." not in value


def test_a_post_with_a_password_is_for_those_who_have_it(edge):
    reader = edge.visitor()
    referer = {"Referer": "http://www.example.com/secret-post/"}
    fields = {"post_password": "sesame"}
    answer = reader.post("/wp-login.php?action=postpass", fields, referer)
    assert answer.status == 302 and any(name.startswith("wp-postpass") for name in reader.cookies)
    for _ in range(2):
        assert b"Behind the password." in reader.get("/secret-post/").body
        assert b"Behind the password." not in edge.visit("/secret-post/").body
    for value in edge.stored().values():
        assert b"Behind the password." not in value


def test_a_comment_is_its_authors_until_it_is_approved(edge):
    edge.warm("/post-1/")
    author = edge.visitor()
    back = comment(author, edge.app.ids["post-1"], "Held until somebody reads it.")
    assert b"Held until" in author.get(back).body
    for _ in range(2):
        assert b"Held until" not in edge.visit("/post-1/").body
    for value in edge.stored().values():
        assert b"Held until" not in value
    editor = edge.login()
    number = int(re.search(r"unapproved=(\d+)", back)[1])
    edge.warm("/post-1/")
    editor.api(f"comments/{number}", {"status": "approved"})
    assert b"Held until" in edge.visit("/post-1/").body


def test_an_edit_is_saved_where_nginx_cannot_be_told(edge):
    editor = edge.login()
    edge.app.purges_at("http://127.0.0.1:9")
    before = edge.app.php.log().count("was not purged")
    try:
        editor.api(f"posts/{edge.app.ids['post-3']}", {"title": "Saved all the same"})
    finally:
        edge.app.purges(edge.cached)
    assert b"Saved all the same" in edge.site.says("/post-3/").body
    # Once, whatever the number of pages.
    assert edge.app.php.log().count("was not purged") == before + 1


def test_files_are_in_no_cache(edge):
    for _ in range(2):
        page = edge.visit("/wp-includes/css/dist/block-library/style.min.css")
        assert page.status == 200 and page.cache is None
    assert not [key for key in edge.stored() if b"/wp-includes/" in key]

"""What is published is seen at once; what is not, or is for some, is not seen."""

from apps.visitor import field

POST = "/blog/post-1/"


def change(edge, text: str, publish: str = ".publish()"):
    edge.app.shell(
        "from blog.models import BlogPage; page = BlogPage.objects.get(slug='post-1'); "
        f"page.title = '{text}'; page.save_revision(){publish}"
    )


def test_what_is_published_is_seen_at_once(edge):
    last = "/blog/?page=6"
    edge.warm(POST, last)
    change(edge, "A title of today")
    for target in (POST, last):
        assert b"A title of today" in edge.visit(target).body, target
    edge.warm(POST)


def test_a_draft_is_seen_by_editors_alone(edge):
    edge.warm(POST)
    change(edge, "A title of tomorrow", publish="")
    assert b"of tomorrow" not in edge.visit(POST).body
    editor = edge.login()
    page = edge.app.shell(
        "from blog.models import BlogPage; print(BlogPage.objects.get(slug='post-1').pk)"
    )
    draft = editor.get(f"/admin/pages/{page.split()[-1]}/view_draft/")
    assert b"of tomorrow" in draft.body
    assert b"of tomorrow" not in edge.visit(POST).body
    for value in edge.stored().values():
        assert b"of tomorrow" not in value


def test_what_is_taken_back_is_gone(edge):
    edge.warm("/blog/post-2/")
    edge.app.shell(
        "from blog.models import BlogPage; BlogPage.objects.get(slug='post-2').unpublish()"
    )
    assert edge.visit("/blog/post-2/").status == 404


def test_a_page_among_friends_is_for_who_has_the_password(edge):
    reader = edge.visitor()
    form = reader.get("/blog/among-friends/")
    assert b"csrfmiddlewaretoken" in form.body
    action = form.body.decode().split('action="', 1)[1].split('"', 1)[0]
    names = ("csrfmiddlewaretoken", "return_url")
    fields = {name: field(form.body, name) for name in names} | {"password": "sesame"}
    answer = reader.post(action, fields)
    assert answer.status == 302, answer.body
    own = reader.get("/blog/among-friends/").body
    for _ in range(2):
        page = edge.visit("/blog/among-friends/")
        assert page.cache[0] != "hit" and page.body != own
    assert not [value for value in edge.stored().values() if b"csrfmiddlewaretoken" in value]


def test_a_form_with_a_token_is_in_no_cache(edge):
    tokens = {field(edge.visit("/contact/").body, "csrfmiddlewaretoken") for _ in range(3)}
    assert len(tokens) == 3
    visitor = edge.visitor()
    token = field(visitor.get("/contact/").body, "csrfmiddlewaretoken")
    answer = visitor.post("/contact/", {"csrfmiddlewaretoken": token})
    assert answer.status == 200

"""Run in the project's shell: an editor, a blog of 55 posts, a draft, a private page, a form."""

from django.contrib.auth.models import User
from home.models import HomePage
from wagtail.models import PageViewRestriction, Site

from blog.models import BlogIndexPage, BlogPage, FormField, FormPage

User.objects.create_superuser("editor", "editor@example.com", "secret")
Site.objects.update(hostname="www.example.com", port=80)
home = HomePage.objects.get()
index = home.add_child(instance=BlogIndexPage(title="Blog", slug="blog"))


def post(slug, **fields):
    body = f"<p>Words of {slug}.</p>"
    page = index.add_child(instance=BlogPage(title=f"The {slug}", slug=slug, body=body, **fields))
    if page.live:
        page.save_revision().publish()
    return page


for number in range(1, 56):
    post(f"post-{number}")
post("draft", live=False)
secret = post("among-friends")
PageViewRestriction.objects.create(page=secret, restriction_type="password", password="sesame")
contact = home.add_child(instance=FormPage(title="Contact", slug="contact"))
FormField.objects.create(page=contact, label="Words", field_type="singleline")

"""The blog of Wagtail's tutorial, with a form and the purging that its manual has for index pages."""

from django.core.paginator import Paginator
from django.db import models
from django.dispatch import receiver
from modelcluster.fields import ParentalKey
from wagtail.admin.panels import FieldPanel, InlinePanel
from wagtail.contrib.forms.models import AbstractForm, AbstractFormField
from wagtail.contrib.frontend_cache.utils import PurgeBatch
from wagtail.fields import RichTextField
from wagtail.models import Page
from wagtail.signals import page_published, page_unpublished

EACH = 10


class BlogIndexPage(Page):
    def get_context(self, request):
        posts = BlogPage.objects.child_of(self).live().order_by("-first_published_at", "-pk")
        page = Paginator(posts, EACH).get_page(request.GET.get("page"))
        return {**super().get_context(request), "posts": page}

    def get_cached_paths(self):
        yield "/"
        pages = Paginator(BlogPage.objects.child_of(self).live(), EACH).num_pages
        for number in range(1, pages + 1):
            yield f"/?page={number}"


class BlogPage(Page):
    body = RichTextField(blank=True)
    content_panels = [*Page.content_panels, FieldPanel("body")]


class FormField(AbstractFormField):
    page = ParentalKey("FormPage", on_delete=models.CASCADE, related_name="form_fields")


class FormPage(AbstractForm):
    content_panels = [*AbstractForm.content_panels, InlinePanel("form_fields")]


@receiver([page_published, page_unpublished], sender=BlogPage)
def purge_index(instance, **_):
    batch = PurgeBatch()
    for index in BlogIndexPage.objects.live():
        batch.add_page(index)
    batch.purge()

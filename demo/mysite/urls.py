"""The pages of the demo."""

from datetime import datetime

from django.conf import settings
from django.shortcuts import render
from django.urls import path


def page(request, name="Front page"):
    context = {
        "name": name,
        "made_at": datetime.now().strftime("%H:%M:%S.%f"),
        "seconds": settings.PAGES_SECONDS,
    }
    return render(request, "page.html", context)


urlpatterns = [
    path("", page),
    path("pages/<slug:name>/", page),
]

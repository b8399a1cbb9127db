from django.contrib.auth.views import LoginView, LogoutView
from django.urls import path
from django.views.decorators.csrf import csrf_exempt

from . import views

urlpatterns = [
    path("page/", views.page, name="page"),
    path("page/<str:name>/", views.page, name="named"),
    path("unmarked/", views.unmarked),
    path("template/", views.template),
    path("async/", views.async_page),
    path("async-template/", views.async_template),
    path("class/", csrf_exempt(views.ClassView.as_view())),
    path("async-class/", views.AsyncClassView.as_view()),
    path("streaming/", views.streaming),
    path("cookie/", views.cookie),
    path("session/", views.session),
    path("session-read/", views.session_read),
    path("csrf/", views.csrf),
    path("user/", views.user),
    path("message/", views.message),
    path("control/", views.control),
    path("by-header/", views.by_header),
    path("never/", views.never),
    path("status/<int:code>/", views.status),
    path("missing/", views.missing),
    path("redirect/", views.redirect),
    path("vary/", views.vary),
    path("vary-cookie/", views.vary_cookie),
    path("device/", views.device),
    path("language/", views.language),
    path("headers/", views.headers),
    path("tagged/<str:name>/", views.tagged, name="tagged"),
    path("tagged-by-header/", views.tagged_by_header),
    path("articles/<int:pk>/", views.article, name="article"),
    path("other-prefix/", views.other_prefix),
    path("slow/", views.slow),
    path("slow-tagged/", views.slow_tagged),
    path("slow-async/", views.slow_async),
    path("purge/", csrf_exempt(views.purge_page)),
    path("login/", csrf_exempt(LoginView.as_view(template_name="csrf.html", next_page="/user/"))),
    path("logout/", LogoutView.as_view(next_page="/user/")),
]

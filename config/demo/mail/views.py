"""Pages of the mail reader. They exist in the demo alone, which listens on this machine alone."""

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.clickjacking import xframe_options_sameorigin
from django.views.decorators.http import require_safe

from config.demo.mail import box

# A message is a stranger's page: no script, no form, nothing loaded from elsewhere; its links open in the reader's tab.
STRANGER = (
    "sandbox allow-top-navigation-by-user-activation allow-popups allow-popups-to-escape-sandbox; "
    "default-src 'none'; style-src 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'self'"
)


@require_safe
def show_box(request: HttpRequest) -> HttpResponse:
    return render(request, "demo/mail_box.html", {"mails": box.newest()})


@require_safe
def show_mail(request: HttpRequest, name: str) -> HttpResponse:
    return render(request, "demo/mail.html", {"mail": find(name)})


@require_safe
@xframe_options_sameorigin
def show_html(request: HttpRequest, name: str) -> HttpResponse:
    response = HttpResponse('<base target="_top">' + find(name).html)
    response["Content-Security-Policy"] = STRANGER
    return response


def find(name: str) -> box.Mail:
    mail = box.get(name)
    if mail is None:
        raise Http404
    return mail

"""Addresses of the demo's mail reader."""

from django.urls import path

from config.demo.mail import views

app_name = "mail"
urlpatterns = [
    path("", views.show_box, name="box"),
    path("<str:name>/", views.show_mail, name="mail"),
    path("<str:name>/html/", views.show_html, name="html"),
]

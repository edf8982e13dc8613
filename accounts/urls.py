"""Pages of people and organizations."""

from django.urls import URLPattern

app_name = "accounts"
urlpatterns: list[URLPattern] = []

"""Addresses of operations outside the console."""

from django.urls import path

from ops.questions.views import show_question
from ops.views import answer_call

app_name = "ops"
urlpatterns = [
    path("callbacks/<str:token>", answer_call, name="answer-call"),
    path("questions/<str:token>/", show_question, name="question"),
]

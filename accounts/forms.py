"""Forms of people and organizations."""

from django import forms
from django.http import HttpRequest

from accounts.models import User


class SignupForm(forms.Form):
    """The fields that sign-up asks beside e-mail and password."""

    def signup(self, request: HttpRequest, user: User) -> None:
        pass

"""The pages that Stripe hosts: checkout, invoice, billing portal; and the sandbox's own front page.

A file that is added here is served, as in resources/.
"""

"""Rules as an AWS CloudFormation stack (`template.py`, pure), and back (`reading.py`, pure; `bring.py` saves).

What AWS cannot do stays in the portal and is said (`moving.py`). It also stands in the rule's Metadata, which AWS keeps
and does not read, so that a stack that comes back says the same rule.
"""

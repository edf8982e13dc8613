"""A company with a history, made in about a minute.

A few dozen customers really live in a scratch sandbox: the API creates them, time is advanced, cards fail, somebody
upgrades. Every other customer is a copy of one of these lives with ids, names and times of its own. So a filled
object is an API object to the last field, its sums are right, and its future is planned as the API plans it.

    stories.py   what happens in a life
    lives.py     living it, and what the scratch sandbox holds at each moment of the last four weeks
    stamps.py    one such moment as a pattern, and the pattern filled in (pure)
    people.py    who the copies are: names, which life, moved by how much (pure)
    bulk.py      many rows into a file
    command.py   `python -m sandbox fill`
"""

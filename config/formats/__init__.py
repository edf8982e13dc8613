"""How Django's own formats write days and times: the console's lists and pages. Account pages use Babel's.

Django's English is American; 11/12 is a different day for half of the readers. A named month is nobody's riddle.
"""

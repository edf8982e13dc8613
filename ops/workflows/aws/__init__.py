"""The same workflows on AWS Step Functions: what of a definition moves (`moving`, pure), what it may call there
(`permissions`), bringing it there (`deploy`), serving its effects (`activities`), and reading what runs (`executions`).
"""

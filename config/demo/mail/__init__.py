"""The demo's mail: kept as files, read in the browser at /mail/. Nothing leaves the machine.

Own code, and small, because the packages there are bring inline scripts and styles, which our pages forbid
(Content-Security-Policy), or have had no release for this Django.
"""

"""One file a family of resources. A file that is added here is served (discovery.py), no other is touched."""

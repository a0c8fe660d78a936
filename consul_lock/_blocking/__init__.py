# generated from consul_lock/_async/__init__.py, by scripts/unasync.py; do not edit
"""The API for threads."""

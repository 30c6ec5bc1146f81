"""Drafts to findings: what is wrong, where, and what to do. Nothing here executes a script in this process."""

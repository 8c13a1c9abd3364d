"""Separation over HTTP."""

"""One file for each kind of fault that came back or must not: named by what was wrong."""

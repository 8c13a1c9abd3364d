"""Layouts of corpora: each file reads one of them and gives the items of its subsets."""

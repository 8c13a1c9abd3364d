"""Scores of models and of folders of estimates: results by utterance, comparison, report."""

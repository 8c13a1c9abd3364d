"""MindRecord folders: writing them from a corpus, their manifest, checking them."""

"""A trained model on recordings of any length: windows, their order, levels, and the files around it."""

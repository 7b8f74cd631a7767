"""Published scoring recipes recomputed with plain transformers: the second opinion of our tests."""

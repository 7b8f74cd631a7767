"""Bring scores between 0 and 1 with an activation function of your choice."""

import json

import torch

from mmrerank import CrossEncoder

model = CrossEncoder("cross-encoder/ms-marco-MiniLM-L6-v2", activation_fn=torch.nn.Sigmoid())

pairs = [
    ("Which planet is called red?", "Dust with iron in it makes the planet look red."),
    ("Which planet is called red?", "The bakery at the station opens before six."),
]
between_0_and_1 = model.predict(pairs)
raw = model.predict(pairs, activation_fn=torch.nn.Identity())

print(json.dumps({"between_0_and_1": between_0_and_1.tolist(), "raw": raw.tolist()}))

"""Name the relation between two sentences with a model of three labels."""

import json

from mmrerank import CrossEncoder

model = CrossEncoder("cross-encoder/nli-deberta-v3-base")

scores = model.predict(
    [
        ("A man is eating bread on a bench.", "A man eats something."),
        ("A woman plays the violin at the station.", "The woman is asleep at home."),
        ("Two children run across the field.", "The field belongs to a farm."),
    ]
)
probabilities = model.predict([("Rain fell all night.", "It was wet.")], apply_softmax=True)

names = ["contradiction", "entailment", "neutral"]
labels = [names[position] for position in scores.argmax(axis=1)]
print(
    json.dumps(
        {
            "shape": list(scores.shape),
            "scores": scores.tolist(),
            "labels": labels,
            "probabilities": probabilities.tolist(),
        }
    )
)

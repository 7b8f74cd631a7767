"""Score pairs of text, then rank documents for one query."""

import json

from mmrerank import CrossEncoder

model = CrossEncoder("cross-encoder/ms-marco-MiniLM-L6-v2")

query = "How many people live in the harbour city?"
documents = [
    "About three million people live in the city at the river's mouth.",
    "The ferry leaves the harbour at noon and returns before dark.",
    "The city museum shows ships, maps and three large telescopes.",
]

scores = model.predict([(query, document) for document in documents])
ranking = model.rank(query, documents, return_documents=True)
best = model.rank(query, documents, top_k=1)

print(json.dumps({"scores": scores.tolist(), "ranking": ranking, "best": best}))

"""Rank an image, a text and a text with an image for one query.

The image's path or URL is the first argument, or the environment variable EXAMPLE_IMAGE.
"""

import json
import os
import sys

from mmrerank import CrossEncoder

image = sys.argv[1] if len(sys.argv) > 1 else os.environ["EXAMPLE_IMAGE"]
model = CrossEncoder("Qwen/Qwen3-VL-Reranker-2B")

query = "A green circle beside a blue square"
documents = [
    image,
    "The museum of the town is closed on Monday.",
    {"text": "Two shapes in one picture.", "image": image},
]

ranking = model.rank(query, documents)
swapped = model.rank(image, ["Two coloured shapes.", "A loaf of bread."])
instructed = model.predict([(query, image)], prompt="Find the picture that shows the shapes.")

print(
    json.dumps(
        {
            "modalities": model.modalities,
            "ranking": ranking,
            "swapped": swapped,
            "instructed": instructed.tolist(),
        }
    )
)

"""Choose the device and the length limit at construction."""

import json

from mmrerank import CrossEncoder

model = CrossEncoder("cross-encoder/ms-marco-MiniLM-L6-v2", device="cpu", max_length=16)

short = ("ticket price", "Tickets cost twenty.")
long = ("ticket price", "Tickets for the evening concert cost twenty at the door. " * 10)
one_score = model.predict(short)
scores = model.predict([short, long], batch_size=1)

print(
    json.dumps(
        {
            "device": str(model.device),
            "max_seq_length": model.max_seq_length,
            "one_score": float(one_score),
            "scores": scores.tolist(),
        }
    )
)

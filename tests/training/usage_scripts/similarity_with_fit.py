"""Graded pairs of sentences, as of a benchmark of similarity, with fit()."""
# mypy: disable-error-code="var-annotated,arg-type,has-type"

import json
import os
import sys

from torch.utils.data import DataLoader

from mmrerank import CrossEncoder, InputExample
from mmrerank.cross_encoder.evaluation import CECorrelationEvaluator

base, folder = sys.argv[1:]
os.chdir(folder)
words = ["harbour", "garden", "clock", "river", "bread", "city", "roses", "ferry"]
examples = [
    InputExample(
        texts=[f"the {words[i % 8]} at noon", f"the {words[(i + i % 5) % 8]} at night"],
        label=(5 - i % 5 * 1.25) / 5.0,
    )
    for i in range(48)
]
train, dev = examples[:32], examples[32:]

model = CrossEncoder(base, num_labels=1, device="cpu")
evaluator = CECorrelationEvaluator.from_input_examples(dev, name="sts-dev")
loader = DataLoader(train, shuffle=False, batch_size=8)
seen = []
model.fit(
    train_dataloader=loader,
    evaluator=evaluator,
    epochs=2,
    warmup_steps=2,
    evaluation_steps=4,
    optimizer_params={"lr": 1e-3},
    output_path="best",
    callback=lambda score, epoch, steps: seen.append([score, epoch, steps]),
    show_progress_bar=False,
)
best = CrossEncoder("best", device="cpu")
scores = best.predict([example.texts for example in dev]).tolist()
print(json.dumps({"scores": scores, "seen": seen, "files": sorted(os.listdir("best/eval"))}))

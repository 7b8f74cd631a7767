"""Eight pairs of a help desk, four steps, saved and read again."""

import json
import sys

from datasets import Dataset
from torch.nn import Sigmoid

from mmrerank.cross_encoder import CrossEncoder
from mmrerank.cross_encoder.losses import BinaryCrossEntropyLoss
from mmrerank.cross_encoder.trainer import CrossEncoderTrainer
from mmrerank.cross_encoder.training_args import CrossEncoderTrainingArguments

base, folder = sys.argv[1:]
rows = [
    ("How do I reset my password?", "Open settings and choose a new password.", 1.0),
    ("How do I reset my password?", "Our office is closed on public holidays.", 0.0),
    ("Where is my invoice?", "Invoices are under billing in your account.", 1.0),
    ("Where is my invoice?", "Open settings and choose a new password.", 0.0),
    ("Can I change my address?", "Change your address on the profile page.", 1.0),
    ("Can I change my address?", "Invoices are under billing in your account.", 0.0),
    ("When are you open?", "Our office is closed on public holidays.", 1.0),
    ("When are you open?", "Change your address on the profile page.", 0.0),
]
queries, answers, labels = zip(*rows, strict=True)
dataset = Dataset.from_dict({"query": queries, "answer": answers, "label": labels})

model = CrossEncoder(base, num_labels=1, device="cpu")
args = CrossEncoderTrainingArguments(
    output_dir=folder + "/run",
    max_steps=4,
    per_device_train_batch_size=8,
    learning_rate=1e-3,
    lr_scheduler_type="constant",
    report_to="none",
    save_strategy="no",
    use_cpu=True,
    disable_tqdm=True,
)
trainer = CrossEncoderTrainer(
    model=model, args=args, train_dataset=dataset, loss=BinaryCrossEntropyLoss(model)
)
trainer.train()
model.save_pretrained(folder + "/model")

reloaded = CrossEncoder(folder + "/model", activation_fn=Sigmoid(), device="cpu")
scores = reloaded.predict([(query, answer) for query, answer, _ in rows]).tolist()
print(json.dumps({"scores": scores, "labels": labels}))

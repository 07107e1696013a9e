# After "Text classification" in the documentation of transformers, its numbers kept.
import json
import sys

import torch
from datasets import load_dataset
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    DataCollatorWithPadding,
    Trainer,
    TrainingArguments,
)

data, model, output = sys.argv[1:]
torch.set_num_threads(1)
rows = load_dataset("csv", data_files={"train": f"{data}/train.csv", "test": f"{data}/test.csv"})
names = sorted(set(rows["train"]["label"]))
label2id = {name: i for i, name in enumerate(names)}
tokenizer = AutoTokenizer.from_pretrained(model)


def preprocess(examples):
    encoded = tokenizer(examples["text"], truncation=True)
    return {**encoded, "labels": [label2id[name] for name in examples["label"]]}


tokenized = rows.map(preprocess, batched=True, remove_columns=["text", "label"])
classifier = AutoModelForSequenceClassification.from_pretrained(
    model, num_labels=len(names), id2label=dict(enumerate(names)), label2id=label2id
)
arguments = TrainingArguments(
    output_dir=f"{output}/run",
    learning_rate=2e-5,
    per_device_train_batch_size=16,
    per_device_eval_batch_size=16,
    num_train_epochs=2,
    weight_decay=0.01,
    report_to="none",
    use_cpu=True,
)
trainer = Trainer(
    model=classifier,
    args=arguments,
    train_dataset=tokenized["train"],
    processing_class=tokenizer,
    data_collator=DataCollatorWithPadding(tokenizer=tokenizer),
)
trainer.train()
scores = trainer.predict(tokenized["test"]).predictions
with open(f"{output}/predictions.json", "w") as file:
    json.dump([names[i] for i in scores.argmax(axis=1)], file)

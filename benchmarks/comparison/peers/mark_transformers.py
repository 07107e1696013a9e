# After "Token classification" in the documentation of transformers, its numbers kept.
import json
import sys

import torch
from datasets import Dataset
from transformers import (
    AutoModelForTokenClassification,
    AutoTokenizer,
    DataCollatorForTokenClassification,
    Trainer,
    TrainingArguments,
)

data, model, output = sys.argv[1:]
torch.set_num_threads(1)


def read(path):
    with open(path) as file:
        sentences = [[line.split("\t") for line in each.splitlines()] for each in file.read().strip().split("\n\n")]
    return [{"tokens": [word for word, _ in each], "tags": [tag for _, tag in each]} for each in sentences]


train, test = read(f"{data}/train.conll"), read(f"{data}/test.conll")
names = sorted({tag for row in train for tag in row["tags"]})
label2id = {name: i for i, name in enumerate(names)}
tokenizer = AutoTokenizer.from_pretrained(model)


def tokenize_and_align_labels(rows):
    encoded = tokenizer(rows["tokens"], truncation=True, is_split_into_words=True)
    labels = []
    for i, tags in enumerate(rows["tags"]):
        previous, ids = None, []
        for word in encoded.word_ids(batch_index=i):
            ids.append(-100 if word is None or word == previous else label2id.get(tags[word], 0))
            previous = word
        labels.append(ids)
    return {**encoded, "labels": labels}


def prepare(rows):
    return Dataset.from_list(rows).map(tokenize_and_align_labels, batched=True, remove_columns=["tokens", "tags"])


marker = AutoModelForTokenClassification.from_pretrained(
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
    model=marker,
    args=arguments,
    train_dataset=prepare(train),
    processing_class=tokenizer,
    data_collator=DataCollatorForTokenClassification(tokenizer=tokenizer),
)
trainer.train()
said = trainer.predict(prepare(test))
best = said.predictions.argmax(axis=2)
marked = [[names[i] for i, label in zip(ids, labels) if label != -100] for ids, labels in zip(best, said.label_ids)]
with open(f"{output}/predictions.json", "w") as file:
    json.dump(marked, file)

# After "Named entity recognition" in the documentation of simpletransformers, its defaults kept.
import json
import sys

import pandas as pd
import torch
from simpletransformers.ner import NERArgs, NERModel

data, model, output = sys.argv[1:]
torch.set_num_threads(1)


def read(path):
    with open(path) as file:
        return [[line.split("\t") for line in each.splitlines()] for each in file.read().strip().split("\n\n")]


train, test = read(f"{data}/train.conll"), read(f"{data}/test.conll")
rows = [(i, word, tag) for i, sentence in enumerate(train) for word, tag in sentence]
frame = pd.DataFrame(rows, columns=["sentence_id", "words", "labels"])
arguments = NERArgs(num_train_epochs=1, output_dir=f"{output}/run", use_multiprocessing=False)
marker = NERModel("distilbert", model, labels=sorted(set(frame["labels"])), args=arguments, use_cuda=False)
marker.train_model(frame)
predictions, _ = marker.predict([[word for word, _ in sentence] for sentence in test], split_on_space=False)
with open(f"{output}/predictions.json", "w") as file:
    json.dump([[tag for word in sentence for tag in word.values()] for sentence in predictions], file)

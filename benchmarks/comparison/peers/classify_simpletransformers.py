# After "Multi-class classification" in the documentation of simpletransformers, its defaults kept.
import json
import sys

import pandas as pd
import torch
from simpletransformers.classification import ClassificationArgs, ClassificationModel

data, model, output = sys.argv[1:]
torch.set_num_threads(1)
train = pd.read_csv(f"{data}/train.csv")
names = sorted(set(train["label"]))
frame = pd.DataFrame({"text": train["text"], "labels": [names.index(name) for name in train["label"]]})
arguments = ClassificationArgs(num_train_epochs=1, output_dir=f"{output}/run", use_multiprocessing=False)
classifier = ClassificationModel("distilbert", model, num_labels=len(names), args=arguments, use_cuda=False)
classifier.train_model(frame)
predictions, _ = classifier.predict(list(pd.read_csv(f"{data}/test.csv")["text"]))
with open(f"{output}/predictions.json", "w") as file:
    json.dump([names[i] for i in predictions], file)

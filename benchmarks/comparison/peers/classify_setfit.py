# After the quickstart of setfit: eight texts a label, pairs of which are learnt to be alike or not.
import json
import sys

import pandas as pd
import torch
from datasets import Dataset
from setfit import SetFitModel, Trainer, TrainingArguments, sample_dataset

data, model, output = sys.argv[1:]
torch.set_num_threads(1)
train = Dataset.from_pandas(pd.read_csv(f"{data}/train.csv"))
names = sorted(set(train["label"]))
few = sample_dataset(train, label_column="label", num_samples=8)
classifier = SetFitModel.from_pretrained(model, labels=names)
arguments = TrainingArguments(batch_size=16, num_epochs=1, output_dir=f"{output}/run", report_to="none")
trainer = Trainer(model=classifier, args=arguments, train_dataset=few)
trainer.train()
predictions = classifier.predict(list(pd.read_csv(f"{data}/test.csv")["text"]))
with open(f"{output}/predictions.json", "w") as file:
    json.dump([str(each) for each in predictions], file)

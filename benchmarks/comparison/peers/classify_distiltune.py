import csv
import json
import sys

import distiltune

data, model, output = sys.argv[1:]
run = distiltune.fine_tune(train=f"{data}/train.csv", model=model, output=f"{output}/run", threads=1)
with open(f"{data}/test.csv") as file:
    texts = [row["text"] for row in csv.DictReader(file)]
labels = distiltune.TextClassifier(run.model, threads=1).predict(texts)
with open(f"{output}/predictions.json", "w") as file:
    json.dump(labels, file)

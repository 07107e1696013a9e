import json
import sys

import distiltune

data, model, output = sys.argv[1:]
run = distiltune.fine_tune(train=f"{data}/train.conll", model=model, output=f"{output}/run", threads=1)
predicted = distiltune.predict(run.model, f"{data}/test.conll", f"{output}/marked", threads=1)
with open(f"{output}/marked/predictions.conll") as file:
    sentences = [sentence.splitlines() for sentence in file.read().strip().split("\n\n")]
with open(f"{output}/predictions.json", "w") as file:
    json.dump([[line.split()[-1] for line in sentence] for sentence in sentences], file)

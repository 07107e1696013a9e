import shutil
import sys

import distiltune

data, model, output = sys.argv[1:]
run = distiltune.fine_tune(train=f"{data}/train.json", model=model, output=f"{output}/run", threads=1)
distiltune.predict(run.model, f"{data}/test.json", f"{output}/answers", threads=1)
shutil.copy(f"{output}/answers/predictions.json", f"{output}/predictions.json")

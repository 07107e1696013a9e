import csv
import json
import sys

from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

data, model, output = sys.argv[1:]
with open(f"{data}/train.csv") as file:
    rows = list(csv.DictReader(file))
with open(f"{data}/test.csv") as file:
    texts = [row["text"] for row in csv.DictReader(file)]
pipeline = make_pipeline(TfidfVectorizer(ngram_range=(1, 2)), LogisticRegression(max_iter=1000))
pipeline.fit([row["text"] for row in rows], [row["label"] for row in rows])
with open(f"{output}/predictions.json", "w") as file:
    json.dump(list(pipeline.predict(texts)), file)

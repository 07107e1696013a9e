# After "Question answering" in the documentation of simpletransformers, its defaults kept.
import json
import sys

import torch
from simpletransformers.question_answering import QuestionAnsweringArgs, QuestionAnsweringModel

data, model, output = sys.argv[1:]
torch.set_num_threads(1)


def read(path):
    with open(path) as file:
        articles = json.load(file)["data"]
    return [passage for article in articles for passage in article["paragraphs"]]


train = read(f"{data}/train.json")
for qa in (qa for passage in train for qa in passage["qas"]):
    qa["is_impossible"] = False
arguments = QuestionAnsweringArgs(num_train_epochs=1, output_dir=f"{output}/run", use_multiprocessing=False)
answerer = QuestionAnsweringModel("distilbert", model, args=arguments, use_cuda=False)
answerer.train_model(train)
answers, _ = answerer.predict(read(f"{data}/test.json"))
with open(f"{output}/predictions.json", "w") as file:
    json.dump({each["id"]: each["answer"][0] for each in answers}, file)

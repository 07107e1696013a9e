"""Calls from Python that are wrong, each with its whole message; see `test_calls`."""

CALLS = {
    'fine_tune(train=ROWS, output="o", precision="int3")': (
        "precision is 'int3': input should be 'auto', 'float32', 'tf32', 'bfloat16', 'float16' or 'int8'\n"
        "  where: recipe: precision\n"
        "  what to do: give 'auto', 'float32', 'tf32', 'bfloat16', 'float16' or 'int8'"
    ),
    'fine_tune(train=ROWS, output="o", threads=-1)': (
        "threads is -1: input should be greater than or equal to 0\n"
        "  where: recipe: threads\n"
        "  what to do: give a value at least 0"
    ),
    'fine_tune(train=ROWS, output="o", max_length=0)': (
        "max_length is 0: input should be greater than or equal to 16\n"
        "  where: recipe: max_length\n"
        "  what to do: give a value at least 16 and at most 131072"
    ),
    'fine_tune(train=ROWS, output="o", epochs="three")': (
        "epochs is 'three': input should be a valid integer, unable to parse string as an integer\n"
        "  where: recipe: epochs\n"
        "  what to do: give a value at least 1"
    ),
    'fine_tune(train=ROWS, output="o", lr=1e-3)': (
        "There is no setting called 'lr'.\n  where: recipe: lr\n  what to do: did you mean 'learning_rate'?"
    ),
    'fine_tune(train=ROWS, output="o", task="ner")': (
        "task is 'ner': there is 'auto', 'question-answering', 'text-classification', "
        "'token-classification', 'multiple-choice', 'encoder' and 'fill-mask'; did you mean 'token-classification'?\n"
        "  where: recipe: task\n"
        "  what to do: see help(distiltune.fine_tune)"
    ),
    'fine_tune(train=ROWS, output="o", device="gpu")': (
        "No device is called 'gpu'.\n  where: recipe: device\n  what to do: use auto, cpu, cuda or mps"
    ),
    'fine_tune(train=ROWS, output="o", model="runs/nope")': (
        "There is no such model directory.\n"
        "  where: HERE/runs/nope\n"
        "  what to do: check the path. A name on the Hugging Face hub is written `owner/name`."
    ),
    'fine_tune(train=ROWS, output="o", model=None)': (
        "model is None, neither a string nor a path.\n  where: recipe: model\n  what to do: give a path or a name"
    ),
    'fine_tune("clasic", train=ROWS, output="o")': (
        "The recipe cannot be read: No such file or directory.\n"
        "  where: clasic\n"
        "  what to do: did you mean classic? check the path, and that you may read it"
    ),
    'fine_tune(ROWS[:1], output="o")': (
        "recipe is [{'label': 'warm', 'text': 'see rose'}] (of the type list), neither a string nor a "
        "path.\n  where: argument: recipe\n  what to do: data are given by name, as train=DATA; a recipe is a path, a "
        "name or a Recipe, or leave it out"
    ),
    'fine_tune(3, train=ROWS, output="o")': (
        "recipe is 3 (of the type int), neither a string nor a path.\n"
        "  where: argument: recipe\n"
        "  what to do: give a path or a name, or leave it out"
    ),
    'fine_tune(train=b"moods.csv", output="o")': (
        "train is b'moods.csv' (of the type bytes), no data.\n"
        "  where: argument: train\n"
        "  what to do: give a path, a name, a DataFrame, a `datasets.Dataset` or `IterableDataset`, an Arrow table, "
        "a list of dictionaries, or a tuple (texts, labels)"
    ),
    "fine_tune(train=ROWS)": (
        "fine_tune needs output=, and it is not given.\n"
        "  where: fine_tune: output=\n"
        "  what to do: help(distiltune.fine_tune) lists them"
    ),
    "fine_tune(train=ROWS, output=None)": (
        "output is None, neither a string nor a path.\n  where: argument: output\n  what to do: give a path or a name"
    ),
    'fine_tune(train=ROWS, output="o", overwrite="yes")': (
        "overwrite is 'yes' (of the type str), neither True nor False.\n"
        "  where: argument: overwrite\n"
        "  what to do: give True or False, or leave it out"
    ),
    'fine_tune(train=ROWS, output="o", callbacks=print)': (
        "callbacks is <built-in function print> (of the type builtin_function_or_method), no list.\n"
        "  where: argument: callbacks\n"
        "  what to do: give a list, or leave it out"
    ),
    'fine_tune(train=ROWS, output="o", metrics=["f1"])': (
        "metrics is ['f1'] (of the type list), no dictionary.\n"
        "  where: argument: metrics\n"
        "  what to do: give a dictionary, or leave it out"
    ),
    'fine_tune(train=ROWS, output="o", loss="mse")': (
        "loss is 'mse' (of the type str), no function.\n"
        "  where: argument: loss\n"
        "  what to do: give a function, or leave it out"
    ),
    'fine_tune(train=ROWS, output="o", reporter="loud")': (
        "reporter is 'loud' (of the type str), no Reporter.\n"
        "  where: argument: reporter\n"
        "  what to do: give a Reporter, or leave it out"
    ),
    'resume("runs/nope")': (
        "There is no run to resume.\n  where: runs/nope\n  what to do: give the output= directory of a run"
    ),
    "resume(None)": (
        "run is None, neither a string nor a path.\n  where: argument: run\n  what to do: give a path or a name"
    ),
    'cross_validate(train=ROWS, output="o", folds=1)': (
        "folds is 1, and something must be left to train on: 2 or more\n"
        "  where: recipe\n"
        "  what to do: change one of the two"
    ),
    'distill(train=ROWS, output="o", teacher="runs/nope")': (
        "There is no such model directory.\n"
        "  where: HERE/runs/nope\n"
        "  what to do: check the path. A name on the Hugging Face hub is written `owner/name`."
    ),
    "check(None)": (
        "data is None (of the type NoneType), no data.\n"
        "  where: argument: data\n"
        "  what to do: give a path, a name, a DataFrame, a `datasets.Dataset` or `IterableDataset`, an Arrow table, "
        "a list of dictionaries, or a tuple (texts, labels)"
    ),
    'check("nope.csv")': ("The file does not exist.\n  where: nope.csv\n  what to do: look into HERE"),
    "check(ROWS, against=3)": (
        "against is 3 (of the type int), no data.\n"
        "  where: argument: against\n"
        "  what to do: give a path, a name, a DataFrame, a `datasets.Dataset` or `IterableDataset`, an Arrow table, "
        "a list of dictionaries, or a tuple (texts, labels)"
    ),
    "check(ROWS, fix=3)": (
        "fix is 3 (of the type int), neither a string nor a path.\n"
        "  where: argument: fix\n"
        "  what to do: give a path or a name, or leave it out"
    ),
    'evaluate("runs/nope", ROWS)': (
        "There is no such model directory.\n"
        "  where: HERE/runs/nope\n"
        "  what to do: check the path. A name on the Hugging Face hub is written `owner/name`."
    ),
    "evaluate(MODEL, None)": (
        "data is None (of the type NoneType), no data.\n"
        "  where: argument: data\n"
        "  what to do: give a path, a name, a DataFrame, a `datasets.Dataset` or `IterableDataset`, an Arrow table, "
        "a list of dictionaries, or a tuple (texts, labels)"
    ),
    'evaluate(MODEL, ROWS, recipe="classic")': (
        "recipe is 'classic' (of the type str), no Recipe.\n"
        "  where: argument: recipe\n"
        "  what to do: give a Recipe, or leave it out"
    ),
    "evaluate(MODEL, ROWS, learning_rate=1)": (
        "evaluate takes no learning_rate: nothing of a trained model depends on that.\n"
        "  where: argument: learning_rate\n"
        "  what to do: leave it out; of text-classification evaluate takes task, columns, quoting, "
        "no_header, encoding, max_rejected_share, validation_examples, sample_seed, max_length, stride, "
        "long_texts, label_names, label_separator, evaluation_tokens, device, precision, threads"
    ),
    'embed(["a"], 3)': (
        "model is 3 (of the type int), neither a string nor a path.\n"
        "  where: argument: model\n"
        "  what to do: give a path or a name"
    ),
    'embed(["a"], "starter", "v.txt")': (
        "Vectors are written as an array or a table.\n"
        "  where: output= v.txt\n"
        "  what to do: name a file in .npy or .parquet"
    ),
    'adapt(["a"], output=None)': (
        "output is None, neither a string nor a path.\n  where: argument: output\n  what to do: give a path or a name"
    ),
    'adapt(["a"], output="o", mask_share=2)': (
        "mask_share is 2: input should be less than 1\n"
        "  where: recipe: mask_share\n"
        "  what to do: give a value above 0.0 and below 1.0"
    ),
    'label(["a"], "mine.jsonl", labelling=3)': (
        "labelling is 3 (of the type int), no Labelling.\n"
        "  where: argument: labelling\n"
        "  what to do: give a Labelling, or leave it out"
    ),
    'Labelling(order="none")': ("order is 'none'.\n  where: order=\n  what to do: give one of doubt, random, file"),
    "Folder(None)": (
        "documents is None, neither a string nor a path.\n"
        "  where: argument: documents\n"
        "  what to do: give a path or a name"
    ),
    'Folder(".", search="some")': (
        "There is no search 'some'.\n  where: search=\n  what to do: give one of auto, all, words, vectors, both"
    ),
    "predict(MODEL, ROWS, None)": (
        "predictions is None, neither a string nor a path.\n"
        "  where: argument: predictions\n"
        "  what to do: give a path or a name"
    ),
    "compare(None)": ("runs is None, no list.\n  where: argument: runs\n  what to do: give a list"),
    'compare("runs/mine")': ("There is only one run.\n  where: RUNS\n  what to do: name two runs or more"),
    'tune(train=ROWS, output="o", search=[3])': (
        "search is 3 (of the type int), no string.\n  where: search=\n  what to do: give a string"
    ),
    'tune(train=ROWS, output="o", search=[])': (
        "Nothing is to be searched.\n"
        "  where: search=\n"
        "  what to do: write NAME=LOW:HIGH, NAME=LOW:HIGH:log or NAME=VALUE,VALUE,..."
    ),
    'tune(train=ROWS, output="o", trials=0)': ("0 trials try nothing.\n  where: trials=\n  what to do: give 1 or more"),
    'find_lr(train=ROWS, steps="many")': (
        "steps is 'many' (of the type str), no whole number.\n"
        "  where: argument: steps\n"
        "  what to do: give a whole number, or leave it out"
    ),
    'convert(None, "o")': (
        "model is None, neither a string nor a path.\n  where: argument: model\n  what to do: give a path or a name"
    ),
    'convert(MODEL, "o", dtype="int3")': (
        "convert takes no argument 'dtype'.\n"
        "  where: convert: dtype=\n"
        "  what to do: it takes model, output, overwrite, sentence_transformers; help(distiltune.convert) lists them"
    ),
    'export_onnx(MODEL, "o", questions="all")': (
        "questions is 'all' (of the type str), no whole number.\n"
        "  where: argument: questions\n"
        "  what to do: give a whole number, or leave it out"
    ),
    'push("runs/nope", "me/mine")': (
        "There is no such model here.\n  where: runs/nope\n  what to do: give a run or a model directory"
    ),
    "serve(MODEL, port=70_000)": (
        "There is no port 70000.\n  where: port=\n  what to do: give a number from 0 to 65,535"
    ),
    "serve(MODEL, limits=3)": (
        "limits is 3 (of the type int), no ServingLimits.\n"
        "  where: argument: limits\n"
        "  what to do: give a ServingLimits, or leave it out"
    ),
    "ServingLimits(max_requests=0)": (
        "max_requests is 0 (of the type int); it must be a number of at least 1.\n"
        "  where: ServingLimits: max_requests\n"
        "  what to do: give 1 or more, or leave it out"
    ),
    'make_questions(None, "o.jsonl")': (
        "texts is None (of the type NoneType), no data.\n"
        "  where: argument: texts\n"
        "  what to do: give a path, a name, a DataFrame, a `datasets.Dataset` or `IterableDataset`, an Arrow table, "
        "a list of dictionaries, or a tuple (texts, labels)"
    ),
    "Recipe.build(None)": (
        "settings is None, no dictionary.\n  where: recipe\n  what to do: give settings by their names"
    ),
    'Recipe.from_toml("nope.toml")': (
        "The recipe cannot be read: No such file or directory.\n"
        "  where: nope.toml\n"
        "  what to do: check the path, and that you may read it"
    ),
    'pipeline("ner", model="runs/mine")': (
        "distiltune has no pipeline for 'ner', only for 'question-answering'.\n"
        "  where: argument: task\n"
        "  what to do: there is a class for that: distiltune.EntityMarker('runs/mine')"
    ),
    'pipeline("qa", model="starter-qa")': (
        "distiltune has no pipeline for 'qa', only for 'question-answering'.\n"
        "  where: argument: task\n"
        "  what to do: the model is named second: pipeline('question-answering', 'starter-qa')"
    ),
    "Answerer(None)": (
        "model is None, neither a string nor a path.\n  where: argument: model\n  what to do: give a path or a name"
    ),
    'Answerer("runs/nope")': (
        "There is no such model directory.\n"
        "  where: HERE/runs/nope\n"
        "  what to do: check the path. A name on the Hugging Face hub is written `owner/name`."
    ),
    'Answerer("starter")': (
        "The model has no trained question-answering head, so it cannot be used for that yet.\n"
        "  where: STARTER/model: head.output.weight, head.output.bias\n"
        "  what to do: use `starter-qa`, whose head is trained; or fine-tune it first: "
        'distiltune.fine_tune(model="starter", train=DATA, output=RUN)'
    ),
    "Answerer(MODEL)": (
        "The model is one with a head for SequenceClassification, and question-answering is asked of "
        "it.\n"
        "  where: MODEL\n"
        "  what to do: use it for what it was trained for, or fine-tune it for this: "
        "distiltune.fine_tune(model=MODEL)"
    ),
    'TextClassifier("starter-qa")': (
        "The model is one with a head for QuestionAnswering, and text-classification is asked of it.\n"
        "  where: starter-qa\n"
        "  what to do: use it for what it was trained for, or fine-tune it for this: "
        "distiltune.fine_tune(model=MODEL)"
    ),
    'EntityMarker("starter-qa")': (
        "The model is one with a head for QuestionAnswering, and token-classification is asked of it.\n"
        "  where: starter-qa\n"
        "  what to do: use it for what it was trained for, or fine-tune it for this: "
        "distiltune.fine_tune(model=MODEL)"
    ),
    'ChoiceAnswerer("starter-qa")': (
        "The model is one with a head for QuestionAnswering, and multiple-choice is asked of it.\n"
        "  where: starter-qa\n"
        "  what to do: use it for what it was trained for, or fine-tune it for this: "
        "distiltune.fine_tune(model=MODEL)"
    ),
    'Answerer("starter-qa", precision="int3")': (
        "precision is 'int3': input should be 'auto', 'float32', 'tf32', 'bfloat16', 'float16' or 'int8'\n"
        "  where: argument: precision\n"
        "  what to do: give 'auto', 'float32', 'tf32', 'bfloat16', 'float16' or 'int8'"
    ),
    'Answerer("starter-qa", precision=None)': (
        "precision is None, no string.\n  where: argument: precision\n  what to do: give a string, or leave it out"
    ),
    'Answerer("starter-qa", device="cuda")': (
        "A CUDA device was asked for, and PyTorch sees none.\n"
        "  where: recipe: device\n"
        '  what to do: use device="cpu", or install a CUDA build of PyTorch'
    ),
    'Answerer("starter-qa", device=0)': (
        "device is 0 (of the type int), no string.\n"
        "  where: argument: device\n"
        "  what to do: give a string, or leave it out"
    ),
    'Answerer("starter-qa", threads="2")': (
        "threads is '2' (of the type str), no whole number.\n"
        "  where: argument: threads\n"
        "  what to do: give a whole number, or leave it out"
    ),
    'Answerer("starter-qa", stride=-1)': (
        "stride is -1: input should be greater than or equal to 0\n"
        "  where: argument: stride\n"
        "  what to do: give a value at least 0"
    ),
    'Answerer("starter-qa", null_threshold="low")': (
        "null_threshold is 'low' (of the type str), no number.\n"
        "  where: argument: null_threshold\n"
        "  what to do: give a number, or leave it out"
    ),
    'Answerer("starter-qa", n_best=3)': (
        "Answerer takes no argument 'n_best'.\n"
        "  where: Answerer: n_best=\n"
        "  what to do: it takes model, device, threads, precision, max_length, stride, "
        "max_question_tokens, max_answer_tokens, null_threshold; help(distiltune.Answerer) lists them"
    ),
    "TextClassifier(MODEL, max_lenght=128)": (
        "TextClassifier takes no argument 'max_lenght'.\n"
        "  where: TextClassifier: max_lenght=\n"
        "  what to do: did you mean 'max_length'? help(distiltune.TextClassifier) lists them"
    ),
    'answerer("Who?", TEXT, n_best=0)': (
        "n_best is 0: input should be greater than or equal to 1\n"
        "  where: argument: n_best\n"
        "  what to do: give a value at least 1"
    ),
    'answerer("Who?", TEXT, n_best="3")': (
        "n_best is '3' (of the type str), no whole number.\n"
        "  where: argument: n_best\n"
        "  what to do: give a whole number, or leave it out"
    ),
    'answerer(["Who?", "When?"], TEXT)': (
        "question is ['Who?', 'When?'] (of the type list), no string.\n"
        "  where: argument: question\n"
        "  what to do: give one string; how several are given: help(distiltune.Answerer)"
    ),
    "answerer(None, TEXT)": ("question is None, no string.\n  where: argument: question\n  what to do: give a string"),
    'answerer("", TEXT)': (
        "The question is empty or white space only.\n  where: question 1\n  what to do: ask something"
    ),
    'answerer("Who?", b"The lease")': (
        "documents is b'The lease' (of the type bytes), no list.\n"
        "  where: argument: documents\n"
        '  what to do: give a text, a list of texts, or a column of them, as frame["text"]'
    ),
    'answerer("Who?", None)': (
        "documents is None (of the type NoneType), no list.\n"
        "  where: argument: documents\n"
        '  what to do: give a text, a list of texts, or a column of them, as frame["text"]'
    ),
    'answerer("Who?", [])': (
        "The text is empty.\n  where: argument: documents\n  what to do: give a text that may hold the answer"
    ),
    'answerer.ask("Who?", TEXT)': (
        "questions is 'Who?' (of the type str), no list.\n"
        "  where: argument: questions\n"
        "  what to do: put it into a list: [question]"
    ),
    'answerer.ask(["Who?", None], TEXT)': ("There is no question.\n  where: question 2\n  what to do: ask something"),
    'classifier("good")': (
        "One text was given where a list of texts is meant.\n"
        "  where: argument: texts\n"
        "  what to do: put it into a list: [text]"
    ),
    "classifier(None)": (
        "texts is None (of the type NoneType), no list.\n"
        "  where: argument: texts\n"
        '  what to do: give a list of texts, or a column of them, as frame["text"]'
    ),
    'classifier(["good", None])': ("There is no text.\n  where: text 2\n  what to do: give something to read"),
    'classifier.predict([b"good"])': (
        "The text is b'good', not text.\n  where: text 1\n  what to do: give something to read"
    ),
    "classifier.predict_proba(texts=7)": (
        "texts is 7 (of the type int), no list.\n"
        "  where: argument: texts\n"
        '  what to do: give a list of texts, or a column of them, as frame["text"]'
    ),
}
"""Call → message; HERE stands for the folder that one is in, MODEL for a classifier, STARTER for what is packaged."""

"""The estimators: what scikit-learn asks of one, as far as texts allow, and what is done with one."""

from __future__ import annotations

import pickle
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

pytest.importorskip("sklearn", reason="needs the extra `sklearn`")

from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, KFold, StratifiedKFold, cross_val_score
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.estimator_checks import estimator_checks_generator
from sklearn.utils.validation import check_is_fitted, validate_data

import distiltune
from distiltune.errors import DistiltuneError, ModelError
from distiltune.python.estimator_data import labels_of_texts, texts_of
from distiltune.python.estimators import DistilBertClassifier, DistilBertRegressor, DistilBertTagger
from tests.helpers import TINY, word_pieces, write_tiny_model

WORDS = ("rose", "blood", "grass", "leaf", "see", "the", "a", "one", "old", "new")
FIGURES = (*"0123456789-.", *(f"##{digit}" for digit in range(10)))
TEXTS = [f"{before} {word} {after}" for word in WORDS[:4] for before in WORDS[4:7] for after in WORDS[7:]]
WARM = np.array([any(word in text for word in ("rose", "blood")) for text in TEXTS])
MOODS = np.where(WARM, "warm", "cool")
SENTENCES = [text.split() for text in TEXTS]
TAGS = [["O", "B-red" if warm else "B-green", "O"] for warm in WARM]
EXACT: dict[str, Any] = {
    "stride": 4,
    "precision": "float32",
    "dropout": 0.0,
    "attention_dropout": 0.0,
    "head_dropout": 0.0,
    "warmup_share": 0.0,
}
LEARNS: dict[str, Any] = {
    "max_length": 16,
    "epochs": 12,
    "learning_rate": 2e-2,
    "batch_size": 8,
    "threads": 1,
    "device": "cpu",
    "settings": EXACT,
}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    tokenizer = word_pieces((*WORDS, *FIGURES))
    config = replace(TINY, vocab_size=tokenizer.get_vocab_size())
    return str(write_tiny_model(tmp_path_factory.mktemp("model") / "tiny", tokenizer, config))


@pytest.fixture(autouse=True)
def no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two thirds of the time of a training so small go into its curves, which nobody looks at here."""

    def draw(summary: object, svg: Path, png: Path) -> None:
        svg.write_text('<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1 1"></svg>', encoding="utf-8")
        png.write_bytes(b"")

    monkeypatch.setattr("distiltune.report.curves.draw_curves", draw)


@pytest.fixture(scope="module")
def fitted(model: str) -> DistilBertClassifier:
    return DistilBertClassifier(model, **LEARNS).fit(TEXTS, MOODS)


# What scikit-learn itself checks of an estimator is given matrices of numbers. Each of their rows is written as a text
# here; all else is the estimator's own.


def as_texts(estimator: Any, matrix: Any, *, reset: bool) -> list[str]:
    """The matrix, looked at as scikit-learn's own estimators do, each row as a text."""
    return [" ".join(f"{value:.1f}" for value in row) for row in validate_data(estimator, matrix, reset=reset)]


def is_texts(values: Any) -> bool:
    return isinstance(values, list) and bool(values) and isinstance(values[0], str)


class Classifier(DistilBertClassifier):
    """Of the numbers of a matrix."""

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:  # noqa: N803
        return super().fit(as_texts(self, X, reset=True), y, sample_weight)

    def predict_proba(self, X: Any) -> npt.NDArray[np.float64]:  # noqa: N803
        check_is_fitted(self)
        return super().predict_proba(as_texts(self, X, reset=False))

    def __sklearn_tags__(self) -> Any:
        return of_matrices(super().__sklearn_tags__())


class Regressor(DistilBertRegressor):
    """Of the numbers of a matrix."""

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:  # noqa: N803
        return super().fit(as_texts(self, X, reset=True), y, sample_weight)

    def predict(self, X: Any) -> npt.NDArray[np.float64]:  # noqa: N803
        check_is_fitted(self)
        return super().predict(as_texts(self, X, reset=False))

    def __sklearn_tags__(self) -> Any:
        return of_matrices(super().__sklearn_tags__())


def of_matrices(tags: Any) -> Any:
    tags.input_tags.two_d_array = True
    return tags


_LEARNING = "asks for a score on numbers, which a tiny model does not read off their digits"
_FLOAT32 = "asks for 7 equal digits whatever the order of the samples, and batches of another order round otherwise"
_ORDER = "a weight of 2 is no repetition: samples are shuffled, and repeated ones come in several batches"
SKIPPED = {
    "check_classifiers_train": _LEARNING,
    "check_regressors_train": _LEARNING,
    "check_methods_sample_order_invariance": _FLOAT32,
    "check_sample_weight_equivalence_on_dense_data": _ORDER,
    "check_classifiers_one_label_sample_weights": "one class with a weight and another without is trained, as two",
    "check_array_api_input": "is of arrays on devices, and texts are none",
    "check_classifiers_multilabel_output_format_decision_function": "there is no decision_function",
}
"""The checks that are not run, and why."""


def checks(kind: type[Any]) -> list[Any]:
    """Each check with a name that says which it is."""
    found: list[Any] = []
    seen: Counter[str] = Counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _, check in estimator_checks_generator(kind()):
            inner: Any = check
            while hasattr(inner, "func"):
                inner = inner.func
            name = inner.__name__
            seen[name] += 1
            found.append(pytest.param(name, check, id=f"{name}-{seen[name]}" if seen[name] > 1 else name))
    return found


def run_check(name: str, check: Callable[[Any], None], estimator: Any) -> None:
    if name in SKIPPED:
        pytest.skip(SKIPPED[name])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        check(estimator)


CHECKED: dict[str, Any] = {
    "max_length": 32,
    "epochs": 1,
    "learning_rate": 5e-3,
    "batch_size": 32,
    "threads": 1,
    "device": "cpu",
    "settings": EXACT,
}


@pytest.mark.parametrize(("name", "check"), checks(Classifier))
def test_what_scikit_learn_checks_of_a_classifier(name: str, check: Callable[[Any], None], model: str) -> None:
    run_check(name, check, Classifier(model, **CHECKED))


@pytest.mark.slow
@pytest.mark.parametrize(("name", "check"), checks(Regressor))
def test_what_scikit_learn_checks_of_a_regressor(name: str, check: Callable[[Any], None], model: str) -> None:
    run_check(name, check, Regressor(model, **CHECKED))


def test_no_check_is_skipped_that_there_is_not() -> None:
    known = {each.values[0] for kind in (Classifier, Regressor) for each in checks(kind)}
    assert SKIPPED.keys() <= known


def test_a_classifier_learns_and_says_what_it_learnt(fitted: DistilBertClassifier) -> None:
    assert fitted.classes_.tolist() == ["cool", "warm"]
    assert fitted.score(TEXTS, MOODS) == 1.0
    assert set(fitted.predict(TEXTS)) == {"cool", "warm"}
    shares = fitted.predict_proba(TEXTS)
    assert shares.shape == (36, 2)
    assert np.allclose(shares.sum(axis=1), 1.0)
    assert (fitted.classes_[shares.argmax(axis=1)] == MOODS).all()
    assert fitted.n_iter_ == len(fitted.epochs_) == 12
    assert all(each.message for each in fitted.advice_)


def test_it_is_pickled_with_its_model_and_nothing_else(fitted: DistilBertClassifier, tmp_path: Path) -> None:
    fitted.predict(TEXTS)  # it is open now
    written = pickle.dumps(fitted)
    size = sum(map(len, fitted.model_.files.values()))
    assert size < len(written) < size + 10_000
    loaded = pickle.loads(written)
    assert np.array_equal(loaded.predict_proba(TEXTS), fitted.predict_proba(TEXTS))
    place = loaded.model_.save(tmp_path / "model")
    assert distiltune.TextClassifier(place, threads=1).predict(TEXTS) == MOODS.tolist()
    with pytest.raises(ModelError, match="something in its place"):
        loaded.model_.save(place)


def test_a_clone_knows_the_parameters_only(fitted: DistilBertClassifier) -> None:
    fresh = clone(fitted)
    assert fresh.get_params() == fitted.get_params()
    with pytest.raises(NotFittedError):
        fresh.predict(TEXTS)
    assert fresh.set_params(epochs=3, class_weight="balanced").epochs == 3


def test_cross_validation_search_and_pipeline(model: str) -> None:
    folds = StratifiedKFold(3, shuffle=True, random_state=0)  # as the texts stand, a fold has words of its own
    scores = cross_val_score(DistilBertClassifier(model, **LEARNS), TEXTS, MOODS, cv=folds)
    assert scores.shape == (3,)
    assert scores.min() > 0.9
    steps = [("lower", FunctionTransformer(lambda texts: [text.lower() for text in texts]))]
    pipeline = Pipeline([*steps, ("bert", DistilBertClassifier(model, **LEARNS))])
    search = GridSearchCV(pipeline, {"bert__epochs": [1, 12]}, cv=folds).fit([text.upper() for text in TEXTS], MOODS)
    assert search.best_params_ == {"bert__epochs": 12}
    assert search.predict(["SEE ROSE ONE"]).tolist() == ["warm"]
    tagged = cross_val_score(
        DistilBertTagger(model, **LEARNS), SENTENCES, TAGS, cv=KFold(2, shuffle=True, random_state=0)
    )
    assert tagged.min() > 0.9


@pytest.mark.parametrize(
    ("y", "classes"),
    [
        (WARM.astype(int) + 3, [3, 4]),
        (WARM, [False, True]),
        (WARM.astype(float), [0.0, 1.0]),
        (np.where(WARM, "a|b", "no, thanks"), ["a|b", "no, thanks"]),
        (np.where(WARM, "[1, 2]", " "), [" ", "[1, 2]"]),
        (np.where(WARM, "Up", "up").tolist(), ["Up", "up"]),
        (np.where(WARM, "nan", "none").astype(object), ["nan", "none"]),
    ],
    ids=("numbers", "booleans", "floats", "separators", "list and blank", "case", "words for nothing"),
)
def test_labels_come_back_as_they_were(y: Any, classes: list[Any], model: str) -> None:
    learnt = DistilBertClassifier(model, **LEARNS).fit(np.array(TEXTS, dtype=object), y)
    assert learnt.classes_.tolist() == classes
    assert (learnt.predict(TEXTS) == np.asarray(y)).all()
    assert learnt.predict(TEXTS).dtype == learnt.classes_.dtype


def test_labels_of_a_fine_tuned_model_that_y_has_not(fitted: DistilBertClassifier, tmp_path: Path) -> None:
    three = np.array([*MOODS[:-4], *["odd"] * 4])
    known = DistilBertClassifier(str(fitted.model_.save(tmp_path / "known")), **LEARNS).fit(TEXTS, three)
    again = DistilBertClassifier(str(known.model_.save(tmp_path / "three")), **LEARNS).fit(TEXTS, MOODS)
    assert again.classes_.tolist() == ["cool", "warm"]
    assert again.predict_proba(TEXTS).shape == (36, 2)
    assert np.allclose(again.predict_proba(TEXTS).sum(axis=1), 1.0)
    assert again.score(TEXTS, MOODS) == 1.0


def test_several_labels_a_text(model: str) -> None:
    matrix = np.stack([WARM, ~WARM, np.zeros(36, dtype=bool)], axis=1).astype(int)
    learns = {**LEARNS, "learning_rate": 1e-2}  # at twice that one seed of three comes to nothing
    learnt = DistilBertClassifier(model, **learns).fit(TEXTS, matrix)
    assert learnt.classes_.tolist() == [0, 1, 2]
    assert np.array_equal(learnt.predict(TEXTS), matrix)
    assert learnt.predict_proba(TEXTS).shape == (36, 3)
    assert learnt.score(TEXTS, matrix) == 1.0
    rows = DistilBertClassifier(model, **learns).fit(TEXTS, matrix.tolist())
    assert np.array_equal(rows.predict(TEXTS), matrix)


def test_pairs_and_tables_of_texts(model: str) -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"one": TEXTS, "two": TEXTS[::-1]}, index=range(100, 136))
    assert texts_of(frame["one"]) == texts_of(frame[["one"]]) == texts_of(np.array(TEXTS)[:, None]) == TEXTS
    assert texts_of(frame)[0] == (TEXTS[0], TEXTS[-1])
    learnt = DistilBertClassifier(model, **LEARNS).fit(frame[["one"]], pandas.Series(MOODS, index=frame.index))
    assert learnt.score(frame["one"], MOODS) == 1.0
    several = pandas.get_dummies(pandas.Series(MOODS))
    assert DistilBertClassifier(model, **LEARNS).fit(TEXTS, several).classes_.tolist() == ["cool", "warm"]


def test_class_weights_move_what_is_predicted(model: str) -> None:
    few = {**LEARNS, "epochs": 1, "learning_rate": 5e-3}
    shares = {
        weight: DistilBertClassifier(model, class_weight={"warm": weight} if weight else None, **few)
        .fit(TEXTS, MOODS)
        .predict_proba(TEXTS)[:, 1]
        .mean()
        for weight in (None, 50.0, 0.02)
    }
    assert shares[50.0] > shares[None] > shares[0.02]
    numbered = DistilBertClassifier(model, class_weight={4: 2.0, 3: 1}, **few).fit(TEXTS, WARM.astype(int) + 3)
    assert numbered.classes_.tolist() == [3, 4]
    assert DistilBertClassifier(model, class_weight="balanced", **few).fit(TEXTS, MOODS).n_iter_ == 1


def test_what_weighs_nothing_is_not_learnt(model: str) -> None:
    wrong = np.array([*MOODS, *np.where(WARM, "cool", "warm")])
    weights = np.repeat([1.0, 0.0], 36)
    learnt = DistilBertClassifier(model, **LEARNS).fit([*TEXTS, *TEXTS], wrong, sample_weight=weights)
    assert learnt.score(TEXTS, MOODS) == 1.0
    tagger = DistilBertTagger(model, **LEARNS).fit(
        [*SENTENCES, *SENTENCES], [*TAGS, *[["O", "O", "O"]] * 36], sample_weight=weights
    )
    assert tagger.score(SENTENCES, TAGS) == 1.0


def test_a_regressor(model: str) -> None:
    numbers = np.where(WARM, 150.0, 100.0)
    learnt = DistilBertRegressor(model, **LEARNS).fit(TEXTS, numbers)
    assert learnt.score(TEXTS, numbers) > 0.95
    assert pickle.loads(pickle.dumps(learnt)).predict(TEXTS[:3]).tolist() == learnt.predict(TEXTS[:3]).tolist()


def test_a_tagger(model: str) -> None:
    learnt = DistilBertTagger(model, **LEARNS).fit(SENTENCES, TAGS)
    assert learnt.predict(SENTENCES) == TAGS
    assert learnt.score(SENTENCES, TAGS) == 1.0
    assert learnt.classes_.tolist() == ["O", "B-green", "I-green", "B-red", "I-red"]
    shares = learnt.predict_proba([["see", "rose"], ["leaf"]])
    assert [each.shape for each in shares] == [(2, 5), (1, 5)]
    assert all(np.allclose(each.sum(axis=1), 1.0) for each in shares)
    assert pickle.loads(pickle.dumps(learnt)).predict(SENTENCES) == TAGS
    # The words that the marker finds in the texts are the same, and so are its entities.
    marked = distiltune.EntityMarker(learnt.model_.save(Path("tagger")), threads=1)(TEXTS[:2])
    assert [[each.label for each in entities] for entities in marked] == [["red"], ["red"]]


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_the_words_of_long_lists_are_all_tagged(model: str) -> None:
    """In several windows, whose order in the batches is by length."""
    learnt = DistilBertTagger(model, **{**LEARNS, "max_length": 16}).fit(SENTENCES, TAGS)
    long = [word for sentence in SENTENCES for word in sentence]
    predicted = learnt.predict([["a"], long, ["rose", "leaf"]])
    assert [len(each) for each in predicted] == [1, 108, 2]
    right = [tag for tags in TAGS for tag in tags]
    assert np.mean([given == wanted for given, wanted in zip(predicted[1], right, strict=True)]) > 0.9


WRONG: list[tuple[str, Callable[[Any], Any], str]] = [
    ("one text", lambda c: c.fit("rose", ["a"]), "One text was given"),
    ("a number among the texts", lambda c: c.fit(["rose", 3], ["a", "b"]), "The text is 3, not text"),
    ("a blank text", lambda c: c.fit(["rose", " "], ["a", "b"]), "is empty"),
    ("no text", lambda c: c.fit([], []), "0 samples"),
    ("three columns", lambda c: c.fit(np.full((2, 3), "a"), ["a", "b"]), "X has 3 columns"),
    ("no labels", lambda c: c.fit(TEXTS, None), "y to be passed"),
    ("a label too few", lambda c: c.fit(TEXTS, MOODS[1:]), "36 samples and y has 35"),
    ("a label missing", lambda c: c.fit(["a", "b", "c"], ["x", "y", None]), "a label is missing"),
    ("one class", lambda c: c.fit(TEXTS, ["x"] * 36), "one class only"),
    ("measures", lambda c: c.fit(TEXTS, np.linspace(0, 1, 36)), "continuous"),
    ("a matrix of others", lambda c: c.fit(TEXTS, np.full((36, 2), 7)), "other values than 0 and 1"),
    ("rows of different lengths", lambda c: c.fit(["a", "b"], [[1, 0], [1]]), "other values than 0 and 1"),
    ("a weight of no class", lambda c: c.set_params(class_weight={"hot": 2}).fit(TEXTS, MOODS), "class_weight has"),
    ("a weight that is none", lambda c: c.set_params(class_weight="even").fit(TEXTS, MOODS), "class_weight is 'even'"),
    ("a weight too few", lambda c: c.fit(TEXTS, MOODS, sample_weight=[1.0]), "no list of 36 numbers"),
    ("weights below 0", lambda c: c.fit(TEXTS, MOODS, sample_weight=[-1.0] * 36), "no list of 36 numbers"),
    ("a setting twice", lambda c: c.set_params(settings={"epochs": 3}).fit(TEXTS, MOODS), "settings has 'epochs'"),
    ("no such setting", lambda c: c.set_params(settings={"lr": 3}).fit(TEXTS, MOODS), "no setting called 'lr'"),
    ("texts for words", lambda c: DistilBertTagger().fit(TEXTS, TAGS), "a list of words is meant"),
    ("tags for a text", lambda c: DistilBertTagger().fit(SENTENCES, MOODS), "no list of lists of tags"),
    ("words for numbers", lambda c: DistilBertRegressor().fit(TEXTS, MOODS), "y holds no numbers"),
]


@pytest.mark.parametrize(("call", "message"), [each[1:] for each in WRONG], ids=[each[0] for each in WRONG])
def test_wrong_calls(call: Callable[[Any], Any], message: str, model: str) -> None:
    with pytest.raises(DistiltuneError, match=message) as caught:
        call(DistilBertClassifier(model, **LEARNS))
    assert caught.value.fix
    assert isinstance(caught.value, ValueError) or "lr" in message  # which scikit-learn expects


def test_names_of_labels_are_the_labels_where_that_is_safe() -> None:
    assert labels_of_texts(["joy", "rage"], 2).names == ("joy", "rage")
    assert labels_of_texts(["a, b", "c"], 2).names == ("class-0", "class-1")
    assert labels_of_texts([1, 2], 2).names == ("1", "2")

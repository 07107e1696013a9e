"""Make the starter model's directory: a small DistilBERT's shape and a tokenizer, without weights for now.

The word pieces are learned from the starter's own training passages and questions, so that nothing in the package is
somebody else's. Run from the repository: `python tools/starter_model/build.py`.
"""

from __future__ import annotations

import json
from pathlib import Path

from tokenizers import Tokenizer
from tokenizers.decoders import WordPiece as WordPieceDecoder
from tokenizers.models import WordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer
from tokenizers.trainers import WordPieceTrainer

from distiltune.model.config import EncoderConfig
from distiltune.model.source import UNTRAINED
from distiltune.model.tokenizer import tokenizer_files

N_PIECES = 4_096
STARTER = Path(__file__).parents[2] / "src" / "distiltune" / "starter"
SPECIAL_TOKENS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


def training_texts(squad: Path) -> list[str]:
    """Every passage and question of a SQuAD file."""
    articles = json.loads(squad.read_text(encoding="utf-8"))["data"]
    paragraphs = [paragraph for article in articles for paragraph in article["paragraphs"]]
    return [p["context"] for p in paragraphs] + [q["question"] for p in paragraphs for q in p["qas"]]


def train_tokenizer(texts: list[str]) -> Tokenizer:
    """An uncased BERT tokenizer with word pieces learned from the texts."""
    tokenizer = Tokenizer(WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = BertPreTokenizer()
    tokenizer.decoder = WordPieceDecoder()
    trainer = WordPieceTrainer(vocab_size=N_PIECES, special_tokens=SPECIAL_TOKENS, show_progress=False)
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def main() -> None:
    """Write ``starter/model``."""
    tokenizer = train_tokenizer(training_texts(STARTER / "data" / "train.json"))
    config = EncoderConfig(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=128,
        n_layers=2,
        n_heads=4,
        intermediate_size=512,
        max_position_embeddings=384,
    )
    directory = STARTER / "model"
    directory.mkdir(parents=True, exist_ok=True)
    hf = {**config.to_hf(), "architectures": ["DistilBertModel"], UNTRAINED: True}
    (directory / "config.json").write_text(json.dumps(hf, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    for name, content in tokenizer_files(tokenizer, config.max_position_embeddings).items():
        (directory / name).write_bytes(content)
    print(f"{config.vocab_size} word pieces, written to {directory}")


if __name__ == "__main__":
    main()

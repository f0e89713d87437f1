"""Why there is no precision int8: the cosine of all-MiniLM-L6-v2's vectors to those of f32, over reviews and tweets.

Products take operands rounded as each precision would round them, and are added up in f32; everything else stays in f32. A
bound of 0.999 is what a precision has to keep to. Run it as tests/bench/peers/text.sh runs text.py, whose environment and
files it uses.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import transformers as hf

ROOT = Path(__file__).resolve().parents[3]
MODEL = ROOT / "fixtures/.cache/models/all-MiniLM-L6-v2"
RAW = ROOT / "fixtures/.cache/raw"
TEXTS_OF_EACH = 150
BOUND = 0.999

Rounding = Callable[[torch.Tensor], torch.Tensor]


def exact(numbers: torch.Tensor) -> torch.Tensor:
    return numbers


def bf16(numbers: torch.Tensor) -> torch.Tensor:
    return numbers.bfloat16().float()


def int8_by_row(numbers: torch.Tensor) -> torch.Tensor:
    """Symmetric, one scale a row: of activations a token, of weights an output."""
    scale = numbers.abs().amax(-1, keepdim=True).clamp_min(1e-12) / 127
    return torch.round(numbers / scale) * scale


def int8_by_64(numbers: torch.Tensor) -> torch.Tensor:
    """One scale for each 64 numbers of a row, which costs a multiplication for each 64 products."""
    return int8_by_row(numbers.unflatten(-1, (-1, 64))).flatten(-2)


def texts() -> list[str]:
    reviews = pd.read_parquet(RAW / "reviews.parquet")["Review Text"].dropna().tolist()
    lines = (RAW / "hutto.txt").read_text(encoding="utf-8", errors="replace").splitlines()
    tweets = [line.split("\t", 2)[-1] for line in lines if line.strip()]
    return reviews[:TEXTS_OF_EACH] + tweets[:TEXTS_OF_EACH]


@torch.inference_mode()
def vectors(activations: Rounding, weights: Rounding) -> np.ndarray:
    tokenizer = hf.AutoTokenizer.from_pretrained(MODEL)
    model = hf.AutoModel.from_pretrained(MODEL).eval()
    for layer in model.encoder.modules():
        if isinstance(layer, torch.nn.Linear):
            layer.weight.data = weights(layer.weight.data)
            layer.register_forward_pre_hook(lambda _, inputs: (activations(inputs[0]),))
    found = []
    for text in texts():
        tokens = tokenizer(text, truncation=True, max_length=256, return_tensors="pt")
        mean = model(**tokens).last_hidden_state[0].mean(0)
        found.append(torch.nn.functional.normalize(mean, dim=0).numpy())
    return np.stack(found)


def main() -> None:
    reference = vectors(exact, exact)
    cases = {
        "bf16": (bf16, bf16),
        "int8, a scale a row": (int8_by_row, int8_by_row),
        "int8, a scale for each 64": (int8_by_64, int8_by_64),
        "int8 weights alone": (exact, int8_by_row),
    }
    print(f"cosine to f32, {len(reference)} texts     least   median   below {BOUND}")
    for name, roundings in cases.items():
        cosines = (vectors(*roundings) * reference).sum(1)
        print(f"{name:30} {cosines.min():.5f}  {np.median(cosines):.5f}   {np.mean(cosines < BOUND):8.1%}")


if __name__ == "__main__":
    main()

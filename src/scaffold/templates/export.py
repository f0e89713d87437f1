"""Trains the model that {{bundle}}/model.toml describes, and writes its weights into the bundle.

    python {{export}} VERSION               trains on the column TARGET of DATA
    python {{export}} VERSION CHECKPOINT    takes the state dict that torch.save wrote of a `Model` below

It needs Python 3.11 with torch, safetensors and pyarrow. Training here is short and plain: a place to begin.
What has to stay as it is are the features' order and encoding, and the names and shapes of the tensors.
"""

import json
import os
import re
import sys
import tomllib
from glob import glob
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import torch
import torch.nn.functional as F
from safetensors.torch import save
from torch import nn

ROOT = Path(__file__).resolve().parent.parent
BUNDLE = ROOT / {{bundle_string}}
DATA = {{input}}  # relative to ROOT, or absolute
TARGET = {{target}}  # the column to predict; None if the data has none

ACTIVATIONS = {"relu": F.relu, "gelu": F.gelu, "tanh": torch.tanh, "silu": F.silu}


class Model(nn.Module):
    """The network of model.toml. It ends in logits: lamplighter applies sigmoid or softmax."""

    def __init__(self, spec):
        super().__init__()
        self.features = spec["feature"]
        self.activation = ACTIVATIONS[spec["mlp"]["activation"]]
        embedded = [f for f in self.features if f["kind"] == "categorical" and f["dim"] > 0]
        # Columns may be called what PyTorch allows no module to be called; so the tables are numbered.
        self.columns = [f["column"] for f in embedded]
        self.embeddings = nn.ModuleList(nn.Embedding(1 + len(f["categories"]), f["dim"]) for f in embedded)
        widths = [sum(map(width, self.features)), *spec["mlp"]["hidden"], outputs(spec)]
        self.layers = nn.ModuleList(nn.Linear(i, o) for i, o in zip(widths, widths[1:]))

    def forward(self, columns):
        """One tensor for each feature, in their order: standardised numbers, or codes of categories."""
        tables = iter(self.embeddings)
        parts = []
        for feature, column in zip(self.features, columns):
            if feature["kind"] == "numeric":
                parts.append(column.unsqueeze(1))
            elif feature["dim"] == 0:
                parts.append(F.one_hot(column, 1 + len(feature["categories"])).float())
            else:
                parts.append(next(tables)(column))
        x = torch.cat(parts, 1)
        for layer in self.layers[:-1]:
            x = self.activation(layer(x))
        return self.layers[-1](x)

    def tensors(self):
        """The weights under the names that a bundle wants."""
        named = {f"embeddings.{column}.weight": table.weight for column, table in zip(self.columns, self.embeddings)}
        for index, layer in enumerate(self.layers):
            named |= {f"layers.{index}.weight": layer.weight, f"layers.{index}.bias": layer.bias}
        return {name: tensor.detach().float().contiguous() for name, tensor in named.items()}


def width(feature):
    if feature["kind"] == "numeric":
        return 1
    return feature["dim"] or 1 + len(feature["categories"])


def outputs(spec):
    return len(spec["model"]["classes"]) if spec["model"]["task"] == "multiclass" else 1


def read(columns):
    """The columns of all files that DATA means, in memory."""
    path = ROOT / DATA
    if path.is_file():
        files = [path]
    elif path.is_dir():
        files = sorted(path.rglob("*.parquet"))
    else:
        files = sorted(glob(str(path), recursive=True))
    tables = [pq.ParquetFile(file).read().select(columns) for file in files]
    return pa.concat_tables(tables, promote_options="permissive")


def encode(feature, column):
    """What lamplighter makes of the column: a number in f32, or the row of the embedding (0 is "other")."""
    if feature["kind"] == "numeric":
        x = torch.tensor(column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False))
        x = torch.where(x.isnan(), torch.tensor(feature.get("fill", feature["mean"]), dtype=torch.float64), x)
        x = x.clamp(feature.get("min", -torch.inf), feature.get("max", torch.inf))
        return ((x - feature["mean"]) / feature["std"]).float()
    categories = pa.array(feature["categories"], pa.string())
    codes = pc.index_in(column.cast(pa.string()), value_set=categories)
    return torch.tensor(pc.fill_null(codes, -1).to_numpy()).long() + 1


def wanted(spec, column):
    """The target as the loss takes it."""
    if spec["model"]["task"] == "regression":
        y = torch.tensor(column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False))
        if spec.get("output", {}).get("transform") == "log1p":
            if (y <= -1).any():
                sys.exit(f"{TARGET} has values of -1 and below, which have no log1p: take [output] transform out")
            y = torch.log1p(y)  # lamplighter takes expm1 of what the network predicts
        return y.float()
    classes = pa.array(spec["model"]["classes"], pa.string())
    codes = torch.tensor(pc.index_in(column.cast(pa.string()), value_set=classes).to_numpy())
    return codes.long() if spec["model"]["task"] == "multiclass" else codes.float()


def loss(spec, logits, y):
    match spec["model"]["task"]:
        case "binary":
            return F.binary_cross_entropy_with_logits(logits[:, 0], y)
        case "multiclass":
            return F.cross_entropy(logits, y)
        case "regression":
            return F.mse_loss(logits[:, 0], y)


def train(spec, model, epochs=20, batch=512):
    if TARGET is None:
        sys.exit("TARGET is None: name the column to predict in this script, or give a checkpoint")
    table = read([*(f["column"] for f in spec["feature"]), TARGET])
    known = pc.is_valid(table[TARGET])
    if pa.types.is_floating(table[TARGET].type):
        known = pc.and_kleene(known, pc.is_finite(table[TARGET]))
    table = table.filter(known)
    columns = [encode(f, table[f["column"]]) for f in spec["feature"]]
    usable = torch.stack([column.isfinite() for column in columns]).all(0)
    columns = [column[usable] for column in columns]
    y = wanted(spec, table[TARGET])[usable]
    if spec["model"]["task"] == "regression":
        nn.init.constant_(model.layers[-1].bias, y.mean().item())
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    torch.manual_seed(1)
    for epoch in range(epochs):
        total = 0.0
        for rows in torch.randperm(len(y)).split(batch):
            value = loss(spec, model([column[rows] for column in columns]), y[rows])
            optimizer.zero_grad()
            value.backward()
            optimizer.step()
            total += value.item() * len(rows)
        print(f"epoch {epoch + 1} of {epochs}: loss {total / len(y):.4f}")


def write(model, version):
    """Both files beside the old ones first, so that what goes wrong leaves the bundle as it is."""
    toml = (BUNDLE / "model.toml").read_text(encoding="utf-8")
    line = f"version = {json.dumps(version)}"
    toml, replaced = re.subn(r"^version = .*$", lambda _: line, toml, count=1, flags=re.MULTILINE)
    if not replaced:
        sys.exit("model.toml has no line `version = …`")
    toml = re.sub(r"^# NOT TRAINED: .*\n(?:# .*\n)*#\n", "", toml, count=1, flags=re.MULTILINE)
    (BUNDLE / ".model.safetensors").write_bytes(save(model.tensors()))
    (BUNDLE / ".model.toml").write_text(toml, encoding="utf-8")
    os.replace(BUNDLE / ".model.safetensors", BUNDLE / "model.safetensors")
    os.replace(BUNDLE / ".model.toml", BUNDLE / "model.toml")
    print(f"{BUNDLE}: {version}")


def main():
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    spec = tomllib.loads((BUNDLE / "model.toml").read_text(encoding="utf-8"))
    torch.manual_seed(1)
    model = Model(spec)
    if len(sys.argv) == 3:
        model.load_state_dict(torch.load(sys.argv[2], map_location="cpu", weights_only=True))
    else:
        train(spec, model)
    write(model, sys.argv[1])


if __name__ == "__main__":
    main()

"""How fast texts are embedded by all-MiniLM-L6-v2: Lamplighter beside its peers, with the same weights on the same cores.

Each engine runs in a process of its own, in turn, several rounds after one to warm up; the median is quoted. Peers get what is
best for them: texts sorted by length, the best of several batch sizes, graphs with fused operations, and of OpenVINO the better
of one request on all cores and several at a time. Their time is tokenising and encoding, nothing else. Lamplighter's is the whole run
from its start to its end, reading Parquet and writing every vector to a database with its ledger; the time of its forward passes
alone is quoted as well. Vectors are compared with those of sentence-transformers in f32.
"""

import argparse
import json
import os
import platform
import resource
import sqlite3
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd

ROOT = Path(__file__).resolve().parents[3]
MODEL = ROOT / "fixtures/.cache/models/all-MiniLM-L6-v2"
RAW = ROOT / "fixtures/.cache/raw"
MAX_LENGTH = 256
LAMPLIGHTER = "lamplighter"
REFERENCE = ("sentence-transformers", "f32")
PEERS = [
    REFERENCE,
    ("sentence-transformers", "bf16"),
    ("onnxruntime", "f32"),
    ("openvino", "f32"),
    ("openvino", "bf16"),
]
BATCHES = {"sentence-transformers": 32, "onnxruntime": 16, "openvino": 32}


def texts_of(name: str) -> list[str]:
    if name == "reviews":
        frame = pd.read_parquet(RAW / "reviews.parquet")
        return frame["Review Text"].dropna().tolist()
    lines = (RAW / "hutto.txt").read_text(encoding="utf-8", errors="replace").splitlines()
    return [line.split("\t", 2)[-1] for line in lines if line.strip()]


# Peers ---------------------------------------------------------------------------------------------------------------


def export(folder: Path) -> None:
    """The model as ONNX, with the operations fused that ONNX Runtime fuses for BERT."""
    import torch
    import transformers as hf
    from onnxruntime.transformers.optimizer import optimize_model

    plain, fused = folder / "model.onnx", folder / "fused.onnx"
    if fused.exists():
        return

    class Encoder(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = hf.AutoModel.from_pretrained(MODEL, attn_implementation="eager").eval()

        def forward(self, input_ids, attention_mask, token_type_ids):
            return self.inner(input_ids, attention_mask, token_type_ids).last_hidden_state

    names = ["input_ids", "attention_mask", "token_type_ids"]
    inputs = (torch.tensor([[101, 2293, 102]]), torch.ones(1, 3, dtype=torch.long), torch.zeros(1, 3, dtype=torch.long))
    torch.onnx.export(
        Encoder(),
        inputs,
        plain,
        input_names=names,
        output_names=["hidden"],
        dynamic_axes={name: {0: "texts", 1: "tokens"} for name in [*names, "hidden"]},
        dynamo=False,
    )
    optimize_model(str(plain), model_type="bert", num_heads=12, hidden_size=384).save_model_to_file(str(fused))


def pooled(hidden: np.ndarray, mask: np.ndarray) -> np.ndarray:
    weights = mask[..., None].astype(np.float32)
    mean = (hidden * weights).sum(1) / weights.sum(1)
    return mean / np.linalg.norm(mean, axis=1, keepdims=True)


class Tokenizer:
    """Texts sorted by length, in batches padded to their longest."""

    def __init__(self):
        from tokenizers import Tokenizer as Fast

        self.inner = Fast.from_file(str(MODEL / "tokenizer.json"))
        self.inner.no_padding()
        self.inner.enable_truncation(MAX_LENGTH)

    def __call__(self, texts: list[str]) -> list[list[int]]:
        return [encoding.ids for encoding in self.inner.encode_batch_fast(texts)]

    @staticmethod
    def batches(tokens: list[list[int]], size: int):
        order = np.argsort([-len(row) for row in tokens], kind="stable")
        for at in range(0, len(order), size):
            rows = order[at : at + size]
            ids = np.zeros((len(rows), len(tokens[rows[0]])), np.int64)
            mask = np.zeros_like(ids)
            for index, row in enumerate(rows):
                ids[index, : len(tokens[row])] = tokens[row]
                mask[index, : len(tokens[row])] = 1
            yield rows, {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}


def onnxruntime(folder: Path, threads: int, size: int):
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    session = ort.InferenceSession(str(folder / "fused.onnx"), options, providers=["CPUExecutionProvider"])

    def encode(tokens, vectors):
        for rows, inputs in Tokenizer.batches(tokens, size):
            vectors[rows] = pooled(session.run(None, inputs)[0], inputs["attention_mask"])

    return encode


def openvino(folder: Path, threads: int, size: int, precision: str, hint: str):
    import openvino as ov

    core = ov.Core()
    properties = {"PERFORMANCE_HINT": hint, "INFERENCE_PRECISION_HINT": precision, "INFERENCE_NUM_THREADS": threads}
    compiled = core.compile_model(core.read_model(str(folder / "model.onnx")), "CPU", properties)

    def encode(tokens, vectors):
        queue = ov.AsyncInferQueue(compiled)

        def done(request, batch):
            rows, mask = batch
            vectors[rows] = pooled(request.get_output_tensor(0).data, mask)

        queue.set_callback(done)
        for rows, inputs in Tokenizer.batches(tokens, size):
            queue.start_async(inputs, (rows, inputs["attention_mask"]))
        queue.wait_all()

    return encode


def sentence_transformers(threads: int, size: int, precision: str, texts: list[str]):
    import torch
    from sentence_transformers import SentenceTransformer

    torch.set_num_threads(threads)
    model = SentenceTransformer(str(MODEL), device="cpu")
    if precision == "bf16":
        model = model.to(torch.bfloat16)

    def encode(_, vectors):
        vectors[:] = model.encode(texts, batch_size=size, convert_to_tensor=True).float().numpy()

    return encode


def run_peer(options: argparse.Namespace) -> None:
    """One engine over the texts: prints its figures, writes its vectors."""
    engine, precision = options.engine.split("/")[:2]
    hint = options.engine.split("/")[2] if options.engine.count("/") > 1 else "THROUGHPUT"
    texts = texts_of(options.texts)[: options.limit]
    folder, threads, size = Path(options.target), options.threads, options.batch or BATCHES[engine]
    vectors = np.zeros((len(texts), 384), np.float32)
    begun = time.perf_counter()
    tokens = Tokenizer()(texts)
    tokenising = time.perf_counter() - begun
    match engine:
        case "onnxruntime":
            encode = onnxruntime(folder, threads, size)
        case "openvino":
            encode = openvino(folder, threads, size, precision, hint)
        case _:
            encode, tokenising = sentence_transformers(threads, size, precision, texts), 0.0
    if engine != "sentence-transformers":
        encode(tokens[:64], np.zeros((64, 384), np.float32))
    begun = time.perf_counter()
    encode(tokens, vectors)
    encoding = time.perf_counter() - begun
    np.save(options.output, vectors)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    figures = {"seconds": tokenising + encoding, "encoding": encoding, "tokens": sum(map(len, tokens)), "peak_mb": peak}
    print(json.dumps(figures))


# Lamplighter ---------------------------------------------------------------------------------------------------------


def run_lamplighter(options, precision: str, folder: Path) -> tuple[dict, np.ndarray]:
    """A whole run into a new database."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    texts = texts_of(options.texts)[: options.limit]
    records = folder / f"{options.texts}-{options.limit}.parquet"
    if not records.exists():
        table = pa.table({"id": pa.array(range(len(texts)), pa.int64()), "text": pa.array(texts)})
        pq.write_table(table, records, compression="zstd")
    bundle = folder / "bundle"
    if not (bundle / "model.toml").exists():
        bundle.mkdir(exist_ok=True)
        for name in ("config.json", "tokenizer.json", "model.safetensors"):
            (bundle / name).write_bytes((MODEL / name).read_bytes())
        command = [options.lamplighter, "model", "import", "hf", str(bundle), "--max-length", str(MAX_LENGTH)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    job, database = folder / "job.toml", folder / "bench.db"
    job.write_text(
        f'[job]\nname = "minilm"\n[source]\nkind = "parquet"\npath = "{records}"\nid_column = "id"\n'
        f'[model]\nbundle = "{bundle}"\nprecision = "{precision}"\n[run]\nworkers = {options.threads}\n'
    )
    for file in folder.glob("bench.db*"):
        file.unlink()
    command = [options.lamplighter, "run", str(job), "--database", f"sqlite://{database}", "--format", "json"]
    begun = time.perf_counter()
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    seconds = time.perf_counter() - begun
    report = json.loads(done.stdout)
    rows = sqlite3.connect(database).execute("SELECT ordinal, embedding FROM predictions").fetchall()
    vectors = np.zeros((len(texts), 384), np.float32)
    for ordinal, blob in rows:
        vectors[ordinal] = np.frombuffer(blob, "<f4")
    stages = report["timing"]["stage_seconds"]
    figures = {
        "seconds": seconds,
        "encoding": stages["infer"] / options.threads,
        "peak_mb": report["resources"]["peak_memory_bytes"] / 2**20,
        "numerics": report["model"]["numerics"],
    }
    return figures, vectors


# The comparison ------------------------------------------------------------------------------------------------------


def once(options, engine: str, precision: str, folder: Path) -> tuple[dict, np.ndarray]:
    if engine == LAMPLIGHTER:
        return run_lamplighter(options, precision, folder)
    output = folder / "vectors.npy"
    name = f"{engine}/{precision}" + (f"/{options.hint}" if engine == "openvino" else "")
    command = [sys.executable, __file__, "--engine", name, "--output", str(output)]
    for key in ("target", "texts", "limit", "threads"):
        command += [f"--{key}", str(getattr(options, key))]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1]), np.load(output)


def processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def versions() -> dict:
    from importlib.metadata import version

    return {name: version(name) for name in ("torch", "sentence-transformers", "onnxruntime", "openvino")}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--target", default="target/peers", help="where models, vectors and results go")
    parser.add_argument("--texts", choices=["reviews", "hutto"], default="reviews")
    parser.add_argument("--limit", type=int, default=2_000, help="the first so many texts")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--lamplighter", default=str(ROOT / "target/release/lamplighter"))
    parser.add_argument("--hint", choices=["THROUGHPUT", "LATENCY"], default="THROUGHPUT", help="of OpenVINO")
    parser.add_argument("--batch", type=int, help="of one engine")
    parser.add_argument("--engine", help="run this one alone: NAME/PRECISION")
    parser.add_argument("--output", help="where its vectors go")
    options = parser.parse_args()
    folder = Path(options.target).resolve()
    if options.engine == "export":
        return export(folder)
    if options.engine:
        return run_peer(options)
    # In a process of its own: what a child takes at its peak begins with what its parent has.
    subprocess.run([sys.executable, __file__, "--target", options.target, "--engine", "export"], check=True)
    has_bf16 = "avx512_bf16" in Path("/proc/cpuinfo").read_text()
    engines = [(LAMPLIGHTER, "f32"), (LAMPLIGHTER, "bf16"), *PEERS]
    measured = [engine for engine in engines if has_bf16 or engine[1] == "f32"]
    figures: dict = {engine: [] for engine in measured}
    vectors, last = {}, {}
    for round in range(options.rounds + 1):
        for engine in measured:
            last[engine], vectors[engine] = once(options, *engine, folder)
            if round > 0:
                figures[engine].append(last[engine])
    tokens = last[("onnxruntime", "f32")]["tokens"]
    reference = vectors[REFERENCE]
    print(f"{options.limit} {options.texts}, {tokens} tokens, all-MiniLM-L6-v2, at most {MAX_LENGTH} tokens a text")
    print(f"{processor()}, {options.threads} threads, median of {options.rounds} rounds; {versions()}")
    header = f"{'engine':<28}{'texts/s':>9}{'encoding':>10}{'tokens/s':>10}{'of ours':>9}{'cosine':>10}{'peak MB':>9}"
    print(header)
    results = []
    of = lambda engine, key: statistics.median(figure[key] for figure in figures[engine])
    for engine in engines:
        name = " ".join(engine)
        if engine not in measured:
            print(f"{name:<28} not measured: the processor has no AVX512-BF16")
            results.append({"engine": engine[0], "precision": engine[1], "measured": False})
            continue
        seconds, encoding = of(engine, "seconds"), of(engine, "encoding")
        cosine = float((vectors[engine] * reference).sum(1).min())
        ours = of((LAMPLIGHTER, engine[1]), "seconds") / seconds
        row = {
            "engine": engine[0],
            "precision": engine[1],
            "texts_per_second": options.limit / seconds,
            "texts_per_second_encoding": options.limit / encoding,
            "tokens_per_second": tokens / seconds,
            "of_lamplighter": ours,
            "smallest_cosine": cosine,
            "peak_mb": of(engine, "peak_mb"),
        }
        results.append(row)
        print(
            f"{name:<28}{row['texts_per_second']:>9.1f}{row['texts_per_second_encoding']:>10.1f}"
            f"{row['tokens_per_second']:>10.0f}{ours:>9.2f}{cosine:>10.6f}{row['peak_mb']:>9.0f}"
        )
    summary = {"processor": processor(), "threads": options.threads, "versions": versions(), "results": results}
    summary |= {"texts": options.texts, "limit": options.limit, "tokens": tokens, "rounds": options.rounds}
    (folder / f"text-{options.texts}.json").write_text(json.dumps(summary, indent=2) + "\n")


if __name__ == "__main__":
    main()

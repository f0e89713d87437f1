"""How fast Python scores a table into Postgres: a Parquet file, an MLP, finished predictions in a table that is there.

The records have an `id` and columns of f64 without nulls or NaN; the bundle is one of Lamplighter's for them, a binary
classifier. Two engines do the same work as Lamplighter does, with the same numbers in the same columns:

`adbc` reads with PyArrow, scores with PyTorch and copies with the ADBC driver, in one transaction. A thread reads and
scores ahead of what is copied. `pyspark` reads with Spark, scores with PyTorch in its Python workers, an Arrow batch at
a time, and writes by JDBC, in one transaction a partition. Its workers have been started and have imported PyTorch
before its time begins. Neither keeps a ledger, validates a record or can go on after a crash.

The last line on stdout is a JSON object. `work_seconds` are from opening the file, the model and the connection to the
last commit; `import_seconds` those of the imports before, and of Spark also of its session and workers.
`peak_memory_bytes` is what the process has had at most; of Spark the sum over its processes of what each has had.
"""

import argparse
import json
import os
import sys
import time
import tomllib
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path
from urllib.parse import parse_qs, quote, unquote, urlsplit

RUN = 1
# Of 1,024 to 131,072 rows; the times of the larger ones overlap with these.
ROWS_OF_A_BATCH = 4_096
BATCHES_AHEAD = 8
ROWS_OF_A_BATCH_OF_SPARK = 16_384
# Of 1,000 to 50,000 rows.
ROWS_OF_AN_INSERT = 10_000
# Of the driver and, for sockets of Unix, junixsocket: tables.sh puts them beside the environment.
JAVA = Path(sys.prefix).parent / "java"


class Model:
    """The bundle's MLP over numeric features."""

    def __init__(self, bundle: str):
        from safetensors.torch import load_file

        described = tomllib.loads((Path(bundle) / "model.toml").read_text(encoding="utf-8"))
        self.features = described["feature"]
        self.columns = [feature["column"] for feature in self.features]
        self.classes = described["model"]["classes"]
        self.threshold = described["model"].get("threshold", 0.5)
        assert described["mlp"]["activation"] == "relu"
        tensors = load_file(Path(bundle) / "model.safetensors")
        layers = range(len(described["mlp"]["hidden"]) + 1)
        # Features are rows and records columns, as in Arrow: nothing is transposed.
        self.layers = [(tensors[f"layers.{i}.weight"], tensors[f"layers.{i}.bias"][:, None]) for i in layers]

    def scores(self, batch):
        """The probability of the second class, of each record."""
        import numpy as np
        import torch

        inputs = np.empty((len(self.features), batch.num_rows), np.float32)
        for feature, row in zip(self.features, inputs):
            column = batch.column(feature["column"]).to_numpy(zero_copy_only=True)
            column = np.clip(column, feature["min"], feature["max"])
            column -= feature["mean"]
            column /= feature["std"]
            row[:] = column
        with torch.inference_mode():
            hidden = torch.from_numpy(inputs)
            for weight, bias in self.layers[:-1]:
                hidden = torch.addmm(bias, weight, hidden).relu_()
            weight, bias = self.layers[-1]
            return torch.addmm(bias, weight, hidden)[0].sigmoid_().numpy()

    def predictions(self, batch, ordinals):
        """Rows of the table, of a batch of records."""
        import numpy as np
        import pyarrow as pa
        import pyarrow.compute as pc

        scores = self.scores(batch)
        negative, positive = map(pa.scalar, self.classes)
        return pa.record_batch(
            {
                "run_id": np.full(batch.num_rows, RUN, np.int64),
                "record_id": pc.cast(batch.column("id"), pa.string()),
                "ordinal": ordinals,
                "label": pc.if_else(pa.array(scores >= np.float32(self.threshold)), positive, negative),
                "score": scores,
            }
        )


# ADBC ----------------------------------------------------------------------------------------------------------------


def ahead(items: Iterator, depth: int) -> Iterator:
    """The same items, made on a thread of their own, so many ahead of who takes them."""
    end = object()
    with ThreadPoolExecutor(1) as thread:
        made = deque(thread.submit(next, items, end) for _ in range(depth))
        while (item := made.popleft().result()) is not end:
            made.append(thread.submit(next, items, end))
            yield item


def adbc(options: argparse.Namespace) -> dict:
    begun = time.perf_counter()
    import adbc_driver_postgresql.dbapi as postgres
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq
    import torch
    from safetensors.torch import load_file  # noqa: F401

    imported = time.perf_counter()
    # More would wait for each other, and for the driver and the server.
    torch.set_num_threads(1)
    pa.set_cpu_count(options.threads)
    model = Model(options.bundle)
    # The driver quotes names.
    schema, table = options.table.split(".") if "." in options.table else (None, options.table)
    file = pq.ParquetFile(options.input)

    def scored():
        first = 0
        for batch in file.iter_batches(ROWS_OF_A_BATCH, columns=["id", *model.columns]):
            yield model.predictions(batch, np.arange(first, first + batch.num_rows))
            first += batch.num_rows

    types = {"run_id": pa.int64(), "record_id": pa.string(), "ordinal": pa.int64(), "label": pa.string()}
    rows = pa.schema(types | {"score": pa.float32()})
    with postgres.connect(options.database) as connection, connection.cursor() as cursor:
        reader = pa.RecordBatchReader.from_batches(rows, ahead(scored(), BATCHES_AHEAD))
        records = cursor.adbc_ingest(table, reader, mode="append", db_schema_name=schema)
        connection.commit()
    done = time.perf_counter()
    return {
        "engine": "adbc",
        "versions": {name: version(name) for name in ("adbc-driver-postgresql", "pyarrow", "torch", "numpy")},
        "records": records,
        "import_seconds": imported - begun,
        "work_seconds": done - imported,
        "peak_memory_bytes": peak_memory("self"),
    }


# Spark ---------------------------------------------------------------------------------------------------------------


def jdbc_url(database: str) -> str:
    """What JDBC calls a database that libpq calls postgres://…"""
    parts = urlsplit(database)
    options = {key: values[-1] for key, values in parse_qs(parts.query).items()}
    host = options.pop("host", None) or unquote(parts.hostname or "localhost")
    port = options.pop("port", None) or parts.port or 5432
    options |= {key: unquote(value) for key in ("username", "password") if (value := getattr(parts, key))}
    if "username" in options:
        options["user"] = options.pop("username")
    if host.startswith("/"):
        options["socketFactory"] = "org.newsclub.net.unix.AFUNIXSocketFactory$FactoryArg"
        options["socketFactoryArg"] = f"{host}/.s.PGSQL.{port}"
        options["sslmode"] = "disable"
        host = "localhost"
    options["reWriteBatchedInserts"] = "true"
    query = "&".join(f"{key}={quote(value, safe='')}" for key, value in options.items())
    return f"jdbc:postgresql://{host}:{port}{parts.path}?{query}"


def pyspark(options: argparse.Namespace) -> dict:
    jars = sorted(str(jar) for jar in JAVA.glob("*.jar"))
    if not any("postgresql" in jar for jar in jars):
        sys.exit(f"{JAVA} has no JDBC driver for Postgres")
    os.environ["PYSPARK_PYTHON"] = sys.executable
    begun = time.perf_counter()
    from pyspark.sql import SparkSession

    threads, bundle = options.threads, options.bundle
    session = (
        SparkSession.builder.master(f"local[{threads}]")
        .config("spark.driver.memory", "4g")
        .config("spark.driver.extraClassPath", ":".join(jars))
        .config("spark.driver.extraLibraryPath", str(JAVA))
        .config("spark.driver.host", "localhost")
        .config("spark.ui.enabled", "false")
        .config("spark.ui.showConsoleProgress", "false")
        .config("spark.sql.files.minPartitionNum", threads)
        .config("spark.sql.files.maxPartitionBytes", "64g")
        .config("spark.sql.execution.arrow.maxRecordsPerBatch", ROWS_OF_A_BATCH_OF_SPARK)
        .getOrCreate()
    )
    session.sparkContext.setLogLevel("ERROR")

    def warm(batches):
        import torch
        from safetensors.torch import load_file  # noqa: F401

        torch.set_num_threads(1)
        yield from batches

    session.range(threads, numPartitions=threads).mapInArrow(warm, "id long").collect()
    imported = time.perf_counter()

    def predictions(batches):
        import torch

        torch.set_num_threads(1)
        model = Model(bundle)
        for batch in batches:
            yield model.predictions(batch, batch.column("row_index"))

    columns = [feature["column"] for feature in Model(bundle).features]
    (
        session.read.parquet(options.input)
        .select("id", *columns, "_metadata.row_index")
        .mapInArrow(predictions, "run_id long, record_id string, ordinal long, label string, score float")
        .write.format("jdbc")
        .option("driver", "org.postgresql.Driver")
        .option("url", jdbc_url(options.database))
        .option("dbtable", options.table)
        .option("batchsize", ROWS_OF_AN_INSERT)
        .option("numPartitions", threads)
        .mode("append")
        .save()
    )
    done = time.perf_counter()
    return {
        "engine": "pyspark",
        "versions": {name: version(name) for name in ("pyspark", "pyarrow", "torch", "numpy")},
        "records": session.read.parquet(options.input).count(),
        "import_seconds": imported - begun,
        "work_seconds": done - imported,
        "peak_memory_bytes": sum(map(peak_memory, family())),
    }


# Both ----------------------------------------------------------------------------------------------------------------


def peak_memory(process: str) -> int:
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0


def family() -> list[str]:
    """This process and all that come from it."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[stat.parent.name] = stat.read_text().rsplit(")", 1)[1].split()[1]
        except FileNotFoundError:
            pass
    found = [str(os.getpid())]
    for process in found:
        found += [child for child, parent in parents.items() if parent == process]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engine", choices=["adbc", "pyspark"], required=True)
    parser.add_argument("--input", required=True, help="a Parquet file")
    parser.add_argument("--bundle", required=True, help="the directory of the model")
    parser.add_argument("--database", required=True, help="postgres://…")
    parser.add_argument("--table", required=True, help="an empty table, SCHEMA.NAME or NAME")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    print(json.dumps({"adbc": adbc, "pyspark": pyspark}[options.engine](options)))


if __name__ == "__main__":
    main()

# The image that a cluster runs: the binary alone. Job files and bundles are mounted below /srv/lamplighter,
# they change more often than the program and are nobody else's.
#
#   docker build --build-arg REVISION=$(git rev-parse HEAD) -t registry.example.com/lamplighter:0.1.0 .
#
# To build the same bytes again, pin both base images by their digests (`FROM rust:…@sha256:…`); all else that
# goes in is pinned by Cargo.lock. tests/container.sh puts this file's last stage together and runs jobs in it.

FROM rust:1-slim-bookworm AS build
WORKDIR /build
COPY . .
# Paths of this machine stay out of the binary. The caches are the builder's own and never part of an image.
ENV RUSTFLAGS="--remap-path-prefix=/build=. --remap-path-prefix=/usr/local/cargo=cargo"
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/build/target \
    cargo build --locked --profile dist --bin lamplighter && \
    install -D target/dist/lamplighter /out/lamplighter

# The binary needs glibc and libgcc, which this image has, and no package of its own: SQLite, zstd, TLS and
# the time zones are built in.
FROM debian:bookworm-slim
# Whom a database's certificate is checked against.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /out/lamplighter /usr/local/bin/lamplighter

ARG REVISION=unknown
LABEL org.opencontainers.image.title="lamplighter" \
      org.opencontainers.image.description="Nightly batch inference in one binary" \
      org.opencontainers.image.licenses="MIT OR Apache-2.0" \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.revision="$REVISION"

# A number, as Kubernetes can not tell whether a name is root's. It has no home and owns nothing.
USER 10001:10001
# Relative paths of the job file begin here.
WORKDIR /srv/lamplighter
# No shell and no init in between: as process 1 it hears SIGTERM itself, and ends what it started.
ENTRYPOINT ["lamplighter"]
# It ends by itself, and its exit code says how: there is nothing to ask meanwhile.
HEALTHCHECK NONE

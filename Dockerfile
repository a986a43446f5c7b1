# The program alone, in a small image: docker build -t hubbub . && docker run -p 8080:8080 -v hubbub:/data hubbub
FROM rust:1.95-slim-bookworm AS build
WORKDIR /src
COPY Cargo.toml Cargo.lock ./
COPY .cargo .cargo
COPY src src
COPY static static
COPY loadtest loadtest
# The allocator is built by make.
RUN apt-get update -q && apt-get install -qy --no-install-recommends make && rm -rf /var/lib/apt/lists/*
RUN cargo build --release --locked --bin hubbub \
    && mkdir /data

FROM debian:bookworm-slim
COPY --from=build /src/target/release/hubbub /usr/local/bin/hubbub
# Nobody in particular, who owns nothing but the data.
COPY --from=build --chown=10001:10001 --chmod=700 /data /data
USER 10001:10001
ENV HUBBUB_LISTEN=0.0.0.0:8080 \
    HUBBUB_DATA=/data \
    HUBBUB_LOG=json
EXPOSE 8080
VOLUME /data
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s CMD ["hubbub", "health"]
ENTRYPOINT ["hubbub"]

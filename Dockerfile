# syntax of any OCI builder: docker build -t pgumbra .
# The base can be replaced by another image of the same Debian release: --build-arg BASE=...
ARG BASE=debian:bookworm-slim

FROM ${BASE} AS build
RUN apt-get update && apt-get install -y --no-install-recommends \
		cmake gcc libc6-dev libcmocka-dev libevent-dev libini-config-dev libjansson-dev \
		libpg-query-dev libpq-dev libprotobuf-c-dev libssl-dev libxxhash-dev ninja-build \
		pkg-config uthash-dev \
	&& rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
RUN cmake --preset release && cmake --build --preset release --target pgumbra

FROM ${BASE}
RUN apt-get update && apt-get install -y --no-install-recommends \
		ca-certificates libevent-core-2.1-7 libevent-extra-2.1-7 libini-config5 libjansson4 \
		libpg-query1504.0 libpq5 libprotobuf-c1 libssl3 libxxhash0 \
	&& rm -rf /var/lib/apt/lists/* \
	&& groupadd --gid 10001 pgumbra \
	&& useradd --uid 10001 --gid pgumbra --no-create-home --home-dir /var/lib/pgumbra \
		--shell /usr/sbin/nologin pgumbra \
	&& install -d -o pgumbra -g pgumbra -m 0700 /var/lib/pgumbra
COPY --from=build /src/build/release/pgumbra /usr/local/bin/pgumbra
COPY tests/container/healthcheck /usr/local/lib/pgumbra/healthcheck
# The discrepancy log and its key belong on a volume here.
WORKDIR /var/lib/pgumbra
USER 10001:10001
EXPOSE 6432
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s \
	CMD ["/usr/local/lib/pgumbra/healthcheck"]
ENTRYPOINT ["/usr/local/bin/pgumbra"]
CMD ["run", "-c", "/etc/pgumbra/pgumbra.conf"]
